// A declared table as Postgres has it: columns in the order of the row's schema, key, version, and the columns that we
// add. Pure; the one place that decides names and types, for provisioning, sinks and in-memory tables alike.
import { parseAvro } from "./avro-parser.ts";
import type { FieldShape } from "./avro-shape.ts";
import { canonicalType, fieldTypeOf, type ColumnType, type FieldType } from "./column-type.ts";
import { ConfigError, ConfigErrors, messageOf, type MillraceError } from "./errors.ts";
import type { ErrorCode } from "./error-table.ts";
import { isIdentifier, quoted, snakeCase } from "./identifier.ts";
import type { SchemaFormat } from "./schema.ts";

/** A declared table, whatever its rows are; `postgresTable()` makes it. */
export interface TableSpec {
  readonly name: string;
  readonly schema: string;
  readonly row: { readonly format: SchemaFormat };
  readonly key: readonly string[];
  /** The field that decides which row is newer; null: the record's event time. Ties: the source offset. */
  readonly version: string | null;
  readonly columns: Readonly<Record<string, ColumnOptions>>;
  readonly indexes: readonly (readonly string[])[];
  readonly personalData: readonly string[];
  readonly description: string | null;
}
/** Sets for a column what the row's schema cannot say. */
export interface ColumnOptions {
  readonly name?: string;
  readonly type?: string;
  readonly default?: string;
  readonly check?: string;
  readonly omit?: boolean;
}

export interface Column {
  /** The field of the row's schema. */
  readonly field: string;
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** SQL expressions. */
  readonly default: string | null;
  readonly check: string | null;
  readonly comment: string | null;
}

export interface TableLayout {
  /** `schema.name`, for messages. */
  readonly label: string;
  /** The quoted name, for SQL. */
  readonly target: string;
  readonly schema: string;
  readonly name: string;
  /** A column for each field that has one, in the order of `SinkRow.values`. */
  readonly columns: readonly Column[];
  /** Positions in `columns`. */
  readonly key: readonly number[];
  /** Position in `columns`; null: the record's event time, in `source_timestamp`. */
  readonly version: number | null;
  /** Column names of each index. */
  readonly indexes: readonly (readonly string[])[];
  readonly description: string | null;
}

/** Columns that we add to every table. */
export const addedColumns = {
  topic: "source_topic",
  partition: "source_partition",
  /** -1 in rows that are declared, not read from a topic. */
  offset: "source_offset",
  processedAt: "processed_at",
  /** Only in a table without a version of its own, where it is the version. */
  timestamp: "source_timestamp",
} as const;

const RESERVED: ReadonlySet<string> = new Set([
  ...Object.values(addedColumns),
  ...["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"],
]);
/** Types whose equality is the same here and in Postgres. */
const KEY_TYPES =
  /^(text|uuid|boolean|integer|bigint|smallint|date|bytea|numeric|timestamp|time)\b/;
/** Types whose order is the same here and in Postgres; texts compare by bytes (COLLATE "C"). */
const VERSION_TYPES = /^(text|integer|bigint|smallint|date|numeric|timestamp)\b/;

/** Throws ConfigErrors with everything that is wrong with the declaration. */
export function layoutOf(spec: TableSpec): TableLayout {
  const problems: MillraceError[] = [];
  const refuse = (detail: string, code: ErrorCode = "MILL_BUILD_OPTION"): void => {
    problems.push(new ConfigError(code, `table "${spec.name.slice(0, 60)}": ${detail}`));
  };
  const fields = fieldsOf(spec.row.format, refuse);
  const columns = columnsOf(spec, fields, refuse);
  const position = (field: string): number => columns.findIndex((c) => c.field === field);
  checkNames(spec, columns, refuse);
  checkOrderingColumns(spec, columns, refuse);
  for (const field of [...spec.indexes.flat(), ...Object.keys(spec.columns), ...spec.personalData])
    if (!fields.some(({ name }) => name === field.split(".")[0]))
      refuse(`"${field}" is no field of the row`);
  if (problems.length > 0) throw new ConfigErrors(problems);
  return {
    label: `${spec.schema}.${spec.name}`,
    target: `${quoted(spec.schema)}.${quoted(spec.name)}`,
    schema: spec.schema,
    name: spec.name,
    columns,
    key: spec.key.map(position),
    version: spec.version === null ? null : position(spec.version),
    indexes: spec.indexes.map((fields) => fields.map((f) => columns[position(f)]?.name ?? f)),
    description: spec.description,
  };
}

/** A row that is all key: one that is there already is the same. */
export const isWholeKey = ({ key, columns }: TableLayout): boolean => key.length === columns.length;

type Refuse = (detail: string, code?: ErrorCode) => void;

/** The fields of the row's schema, parsed as its codec and its generated types are. */
function fieldsOf(format: SchemaFormat, refuse: Refuse): readonly FieldShape[] {
  try {
    const shape = format.kind === "avro" ? parseAvro(format.schema) : null;
    if (shape?.kind === "record" && shape.fields.length > 0) return shape.fields;
    refuse("the row must be an Avro record with fields");
  } catch (error) {
    refuse(`the row's schema: ${messageOf(error)}`, "MILL_SCHEMA_INVALID");
  }
  return [];
}

const problemOf = ({ misplaced }: FieldShape, found: FieldType | null): string | null =>
  misplaced ?? found?.problem ?? null;

function columnsOf(spec: TableSpec, fields: readonly FieldShape[], refuse: Refuse): Column[] {
  const columns: Column[] = [];
  for (const field of fields) {
    const options = spec.columns[field.name] ?? {};
    if (options.omit === true) continue;
    const found = fieldTypeOf(field.shape);
    const problem = problemOf(field, found);
    if (found !== null && problem !== null && options.type === undefined)
      refuse(
        `field "${field.name}": ${problem}. Mend the schema; or set columns.${field.name} to ` +
          `type: "${found.type.sql}" to store it as it is, or to omit: true`,
      );
    if (found === null)
      refuse(`field "${field.name}" can only be null: leave it out by omit: true in columns`);
    else columns.push(columnOf(field, found, options, spec, refuse));
  }
  return columns;
}

function columnOf(
  field: FieldShape,
  found: FieldType,
  options: ColumnOptions,
  spec: TableSpec,
  refuse: Refuse,
): Column {
  const written = options.type === undefined ? found.type.sql : canonicalType(options.type);
  if (written === null) refuse(`column of "${field.name}": type "${String(options.type)}" is none`);
  const isPersonal = spec.personalData.some((path) => path.split(".")[0] === field.name);
  const comment = [field.doc, isPersonal ? "Personal data." : null].filter(Boolean).join(" ");
  return {
    field: field.name,
    name: options.name ?? snakeCase(field.name),
    type: { ...found.type, sql: written ?? found.type.sql },
    nullable: found.nullable,
    default: options.default ?? null,
    check: options.check ?? null,
    comment: comment === "" ? null : comment,
  };
}

function checkNames(spec: TableSpec, columns: readonly Column[], refuse: Refuse): void {
  const names = [spec.name, spec.schema, ...columns.map((c) => c.name)];
  for (const name of names.filter((n) => !isIdentifier(n)))
    refuse(
      `${JSON.stringify(name.slice(0, 60))}: expected snake_case of at most 60 characters`,
      "MILL_BUILD_NAME_INVALID",
    );
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (RESERVED.has(name)) refuse(`column "${name}" is one of ours or of Postgres; rename it`);
    if (seen.has(name)) refuse(`two fields would be column "${name}"`);
    seen.add(name);
  }
}

function checkOrderingColumns(spec: TableSpec, columns: readonly Column[], refuse: Refuse): void {
  if (spec.key.length === 0) refuse("the key must name at least one field");
  const check = (field: string, role: string, types: RegExp): void => {
    const column = columns.find((c) => c.field === field);
    if (column === undefined) return refuse(`${role} "${field}" is no field with a column`);
    if (column.nullable) refuse(`${role} "${field}" must not be null`);
    if (!types.test(column.type.sql))
      refuse(`${role} "${field}": a column of type ${column.type.sql} cannot be one`);
  };
  for (const field of spec.key) check(field, "key", KEY_TYPES);
  if (spec.version === null) return;
  check(spec.version, "version", VERSION_TYPES);
  const version = columns.find((c) => c.field === spec.version);
  // A text in a column of numbers or instants has several spellings of one value.
  if (version?.type.encoding === "text" && /^numeric|with time zone$/.test(version.type.sql))
    refuse(`version "${spec.version}": a text cannot be compared as ${version.type.sql}`);
}
