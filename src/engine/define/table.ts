// postgresTable(): a table as a value. Importing it creates nothing; `millrace tables apply` does.
import type { Encoder, Schema, SchemaFormat } from "../core/schema.ts";

/** Sets for a column what the row's schema cannot say. */
export interface ColumnOptions {
  readonly name?: string;
  readonly type?: string;
  readonly default?: string;
  readonly check?: string;
  readonly omit?: boolean;
}

/** A Postgres table whose rows are R. */
export interface PostgresTable<R> {
  readonly kind: "postgres-table";
  readonly name: string;
  readonly schema: string;
  readonly row: Schema<R>;
  readonly key: readonly string[];
  /** The field that decides which row is newer; null: the record's event time. Ties: the source offset. */
  readonly version: string | null;
  readonly columns: Readonly<Record<string, ColumnOptions>>;
  readonly indexes: readonly (readonly string[])[];
  readonly personalData: readonly string[];
  /** Rows that are always there. */
  readonly rows: () => Iterable<R>;
  readonly description: string | null;
}

/** Where rows R may be written. */
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
