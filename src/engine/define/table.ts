// postgresTable(): a table as a value. Importing it creates nothing; `millrace tables apply` does.
import type { Encoder, Schema, SchemaFormat } from "../core/schema.ts";
import type { ColumnOptions, TableSpec } from "../core/table-layout.ts";

/** A Postgres table whose rows are R. */
export interface PostgresTable<R> extends TableSpec {
  readonly kind: "postgres-table";
  readonly row: Schema<R>;
  /** Rows that are always there. */
  readonly rows: () => Iterable<R>;
}

/** A table to which rows R may be written. */
export interface RowTarget<R> extends Omit<PostgresTable<unknown>, "row" | "rows"> {
  readonly row: { readonly format: SchemaFormat; readonly writes: Encoder<R> };
}

export interface PostgresTableOptions<R> {
  readonly row: Schema<R>;
  readonly key: readonly (keyof R & string)[];
  readonly version?: keyof R & string;
  readonly schema?: string;
  readonly columns?: { readonly [F in keyof R & string]?: ColumnOptions };
  readonly indexes?: readonly (readonly (keyof R & string)[])[];
  readonly personalData?: readonly (keyof R & string)[];
  readonly rows?: () => Iterable<R>;
  readonly description?: string;
}

/**
 * Declares a table: one column per field of the row's schema, in snake_case.
 * @example
 * export const factOrders = postgresTable("fact_orders", { row: factOrder, key: ["orderId"], version: "updatedAt" });
 */
export function postgresTable<R>(name: string, options: PostgresTableOptions<R>): PostgresTable<R> {
  return Object.freeze({
    kind: "postgres-table",
    name,
    schema: options.schema ?? "public",
    row: options.row,
    key: options.key,
    version: options.version ?? null,
    columns: (options.columns ?? {}) as Readonly<Record<string, ColumnOptions>>,
    indexes: options.indexes ?? [],
    personalData: options.personalData ?? [],
    rows: options.rows ?? (() => []),
    description: options.description ?? null,
  });
}
