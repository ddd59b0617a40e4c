// The wanted form of a table in Postgres, the columns that we add included. Pure data: DDL is made from it, and what is
// found in the catalogue is compared with it.
import { literal, quoted } from "../../core/identifier.ts";
import { addedColumns, type Column, type TableLayout } from "../../core/table-layout.ts";

export interface DesiredColumn extends Omit<Column, "field" | "type"> {
  /** As format_type() prints it. */
  readonly type: string;
  /** Numbered by Postgres. */
  readonly isIdentity: boolean;
  /**
   * The value of rows that others have written, as SQL, where null would make a row that no record can replace. It stays
   * the default, so that others can go on writing.
   */
  readonly fill: string | null;
}

export interface DesiredTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly DesiredColumn[];
  readonly key: readonly string[];
  readonly indexes: readonly (readonly string[])[];
  readonly comment: string | null;
}

const INSTANT = "timestamp with time zone";

/** The comment of `processed_at` in a table that `tables apply` has made. */
export const MADE_HERE = "Written by Millrace, which made this table.";

/** -1 is a declared row's, which `tables apply` may correct. */
const OFFSET_OF_OTHERS = "-2";

/** A version that every other one is newer than. */
function lowestOf(type: string): string | null {
  if (/^(timestamp|date|numeric$|real|double)/.test(type)) return "'-infinity'";
  const [, precision, scale] = /^numeric\((\d+),(\d+)\)$/.exec(type) ?? [];
  if (precision !== undefined) return `'-${"9".repeat(Number(precision) - Number(scale))}'`;
  const bits = { smallint: 15n, integer: 31n, bigint: 63n }[type];
  if (bits !== undefined) return `'-${String(2n ** bits)}'`;
  return type === "text" ? "''" : null;
}

type ColumnFacts = Partial<DesiredColumn>;

const column = (name: string, type: string, facts: ColumnFacts = {}): DesiredColumn => ({
  name,
  type,
  nullable: false,
  default: null,
  check: null,
  comment: null,
  isIdentity: false,
  fill: null,
  ...facts,
});

/** A user's table: its columns, then ours. Rows that are declared, not read, have no source. */
export function desiredTable(layout: TableLayout): DesiredTable {
  const { topic, partition, offset, timestamp, processedAt } = addedColumns;
  return {
    schema: layout.schema,
    name: layout.name,
    columns: [
      ...layout.columns.map((given, at) => ({
        ...desiredColumn(given),
        fill: at === layout.version ? lowestOf(given.type.sql) : null,
      })),
      column(topic, "text", { nullable: true }),
      column(partition, "integer", { nullable: true }),
      column(offset, "bigint", { fill: OFFSET_OF_OTHERS }),
      ...(layout.version === null ? [column(timestamp, INSTANT, { fill: "'-infinity'" })] : []),
      column(processedAt, INSTANT, { fill: "pg_catalog.now()", comment: MADE_HERE }),
    ],
    key: layout.key.map((i) => layout.columns[i]?.name ?? ""),
    indexes: layout.indexes,
    comment: layout.description,
  };
}

function desiredColumn({ name, type, nullable, comment, ...given }: Column): DesiredColumn {
  const symbols = type.symbols?.map(literal).join(", ");
  const parts = [symbols && `${quoted(name)} IN (${symbols})`, given.check].filter(Boolean);
  const check = parts.length === 0 ? null : parts.map((part) => `(${String(part)})`).join(" AND ");
  return column(name, type.sql, { nullable, default: given.default, check, comment });
}

const ofTask = [
  column("pipeline", "text"),
  column("part", "text"),
  column("topic", "text"),
  column("partition", "integer"),
];
const taskKey = ofTask.map(({ name }) => name);

/** Our own tables, in a schema that no user table shares. */
export const ownTables: readonly DesiredTable[] = [
  {
    schema: "millrace",
    name: "progress",
    columns: [
      ...ofTask,
      column("next_offset", "bigint"),
      column("epoch", "bigint"),
      column("ledger", "jsonb"),
      column("updated_at", INSTANT),
    ],
    key: taskKey,
    indexes: [],
    comment: "Where each sink task is, and which owner's epoch may move it.",
  },
  {
    schema: "millrace",
    name: "letters",
    columns: [
      ...ofTask,
      column("id", "text"),
      column("seq", "bigint", { isIdentity: true }),
      column("letter_topic", "text"),
      column("letter_partition", "integer"),
      column("letter_key", "bytea", { nullable: true }),
      column("letter_value", "bytea", { nullable: true }),
      column("letter_headers", "bytea"),
      column("letter_timestamp", "bigint"),
    ],
    key: [...taskKey, "id"],
    indexes: [["pipeline", "part", "topic", "partition", "seq"]],
    comment: "Dead letters that are decided and not yet sent. Holds records' bytes.",
  },
  {
    schema: "millrace",
    name: "runs",
    columns: [
      column("pipeline", "text"),
      column("run", "integer"),
      column("state", "text"),
      column("step", "text", { nullable: true }),
      column("target", "text"),
      column("range", "jsonb"),
      column("options", "jsonb"),
      column("rate_limit", "bigint", { nullable: true }),
      column("counts", "jsonb"),
      column("detail", "jsonb"),
      column("created_at", INSTANT),
      column("updated_at", INSTANT),
      column("finished_at", INSTANT, { nullable: true }),
      column("error", "text", { nullable: true }),
    ],
    key: ["pipeline", "run"],
    indexes: [],
    comment:
      "Runs of the reprocessor: what each reads, how far it has come, what may be done next.",
  },
];
