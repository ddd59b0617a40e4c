// The wanted form of a table in Postgres, the columns that we add included. Pure data: DDL is made from it, and what is
// found in the catalogue is compared with it.
import { literal, quoted } from "../../core/identifier.ts";
import { addedColumns, type Column, type TableLayout } from "../../core/table-layout.ts";

export interface DesiredColumn extends Omit<Column, "field" | "type"> {
  /** As format_type() prints it. */
  readonly type: string;
  /** Numbered by Postgres. */
  readonly isIdentity: boolean;
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
type ColumnFacts = Partial<DesiredColumn>;

const column = (name: string, type: string, facts: ColumnFacts = {}): DesiredColumn => ({
  name,
  type,
  nullable: false,
  default: null,
  check: null,
  comment: null,
  isIdentity: false,
  ...facts,
});

/** A user's table: its columns, then ours. Rows that are declared, not read, have no source. */
export function desiredTable(layout: TableLayout): DesiredTable {
  const { topic, partition, offset, timestamp, processedAt } = addedColumns;
  return {
    schema: layout.schema,
    name: layout.name,
    columns: [
      ...layout.columns.map(desiredColumn),
      column(topic, "text", { nullable: true }),
      column(partition, "integer", { nullable: true }),
      column(offset, "bigint"),
      ...(layout.version === null ? [column(timestamp, INSTANT)] : []),
      column(processedAt, INSTANT),
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
