// Random tables in Postgres, made by others or by us and then changed by others, and declarations of them.
import { avro, json, pipeline, postgresTable, string, topic, type PostgresTable } from "#engine";
import type { Plan } from "../../src/engine/core/plan.ts";
import { applyTables } from "../../src/engine/provision/tables/tables.ts";
import type { PostgresPool } from "../../src/engine/clients/postgres/pool.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { FreshDatabase } from "./fresh-database.ts";

type Row = Readonly<Record<string, unknown>>;
interface Field {
  readonly name: string;
  /** An Avro type, its column types from the narrowest on, a value for a row, and its text in SQL. */
  readonly avro: "string" | "int" | "long";
  readonly nullable: boolean;
  readonly doc: string | null;
}
export interface RandomTable {
  readonly name: string;
  readonly table: PostgresTable<Row>;
  readonly isOurs: boolean;
  readonly fields: readonly Field[];
  readonly hasDescription: boolean;
}
export interface RandomTables {
  readonly tables: readonly RandomTable[];
  readonly plans: readonly Plan[];
  /** The pipelines that the command names. */
  readonly named: readonly string[];
}

const COLUMN_TYPES = {
  string: ["varchar(5)", "varchar(40)", "text"],
  int: ["smallint", "integer", "bigint"],
  long: ["smallint", "integer", "bigint"],
} as const;

type Dice = ReturnType<typeof diceOf>;
const diceOf = (seed: number) => {
  const random = seededRandom(seed);
  const chance = (share: number): boolean => random.next() < share;
  return {
    chance,
    some: (share: number, text: string, isPossible = true): string | false =>
      chance(share) && isPossible && text,
    one: <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)] as T,
  };
};

/** Makes the tables in a schema of the seed. */
export async function randomTables(
  seed: number,
  database: FreshDatabase,
  pool: PostgresPool,
): Promise<RandomTables> {
  const dice = diceOf(seed);
  const schema = `s${String(seed)}`;
  await database.query(`CREATE SCHEMA ${schema}`);
  const tables: RandomTable[] = [];
  for (const name of ["t_a", "t_b", "t_c"]) {
    const one = declared(name, schema, dice);
    tables.push(one);
    const clock = {
      now: () => 1_767_225_600_000,
      monotonic: () => 0,
      sleep: () => Promise.resolve(),
    };
    if (one.isOurs) await applyTables([one.table as never], pool, clock);
    await database.query(one.isOurs ? changedByOthers(one, dice) : madeByOthers(one, dice));
  }
  const plans = tables.map(({ name, table }) => planOf(`p-${name.slice(2)}`, table));
  const named = plans.map(({ pipeline: of }) => of).filter(() => dice.chance(0.5));
  return { tables, plans, named };
}

function declared(name: string, schema: string, dice: Dice): RandomTable {
  const more = ["b", "c", "d"].map((field): Field => {
    const avroType = dice.one(["string", "int", "long"] as const);
    const doc = dice.chance(0.3) ? `About ${field}.` : null;
    return { name: field, avro: avroType, nullable: dice.chance(0.5), doc };
  });
  const id: Field = { name: "id", avro: "string", nullable: false, doc: null };
  const fields = [id, ...more];
  const hasDescription = dice.chance(0.4);
  const checked = more.find((field) => field.avro === "long");
  const table = postgresTable<Row>(name, {
    row: avro<Row>({
      type: "record",
      name: "Row",
      fields: fields.map((field) => ({
        name: field.name,
        type: field.nullable ? ["null", field.avro] : field.avro,
        ...(field.doc === null ? {} : { doc: field.doc }),
      })),
    }),
    ...{ schema, key: ["id"], rows: () => [rowOf(fields, "declared")] },
    ...(hasDescription ? { description: `The table ${name}.` } : {}),
    ...(dice.chance(0.5) ? { indexes: [["b"]] } : {}),
    ...(checked === undefined || dice.chance(0.5)
      ? {}
      : { columns: { [checked.name]: { check: `${checked.name} > -9` } } }),
  });
  return { name, table, isOurs: dice.chance(0.4), fields, hasDescription };
}

export const rowOf = (fields: readonly Field[], id: string): Row =>
  Object.fromEntries(
    fields.map((field) => [
      field.name,
      field.name === "id" ? id : field.avro === "string" ? "x" : field.avro === "int" ? 3 : 3n,
    ]),
  );

const target = ({ table: { schema, name } }: RandomTable): string => `${schema}.${name}`;
const sql = (statements: readonly (string | false)[]): string =>
  statements.filter((statement) => statement !== false).join(";\n");

function madeByOthers(one: RandomTable, dice: Dice): string {
  const { chance, some } = dice;
  const at = target(one);
  // The key is there: a script cannot fill it.
  const there = one.fields.filter(({ name }) => name === "id" || chance(0.75));
  const columns = there.map(({ name, avro: type }) => {
    const isKey = name === "id";
    const column = `${name} ${isKey ? "text" : dice.one(COLUMN_TYPES[type])}`;
    return `${column}${isKey || chance(0.5) ? " NOT NULL" : ""}`;
  });
  const extra = [
    some(0.5, "theirs text DEFAULT 'own'"),
    some(0.3, "strict integer NOT NULL"),
    some(0.3, "counted bigserial"),
  ].filter((column) => column !== false);
  const key = chance(0.5)
    ? ["PRIMARY KEY (id)"]
    : chance(0.5)
      ? [
          "row_id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
          ...(chance(0.5) ? ["UNIQUE (id)"] : []),
        ]
      : [];
  const hasB = there.some(({ name }) => name === "b");
  const values = there.map((field) => (field.avro === "string" ? "'old'" : "1"));
  const isStrict = extra.some((column) => column.startsWith("strict"));
  const names = [...there.map(({ name }) => name), ...(isStrict ? ["strict"] : [])];
  return sql([
    `CREATE TABLE ${at} (${[...columns, ...extra, ...key].join(", ")})`,
    some(0.5, `COMMENT ON TABLE ${at} IS 'of others'`),
    some(0.5, `COMMENT ON COLUMN ${at}.id IS 'their key'`),
    some(0.5, `ALTER TABLE ${at} ADD CHECK (b IS NOT NULL OR b IS NULL)`, hasB),
    some(0.5, `GRANT SELECT ON ${at} TO PUBLIC`),
    some(0.3, `CREATE INDEX ON ${at} (b, id)`, hasB),
    some(
      0.7,
      `INSERT INTO ${at} (${names.join(", ")}) VALUES (${[...values, ...(isStrict ? ["1"] : [])].join(", ")})`,
    ),
  ]);
}

function changedByOthers(one: RandomTable, { some }: Dice): string {
  const at = target(one);
  const name = "b";
  // A column that may not be null is not added to a table with rows.
  const isOptional = one.fields.some((field) => field.name === "c" && field.nullable);
  return sql([
    some(0.5, `COMMENT ON TABLE ${at} IS 'changed by others'`),
    some(0.5, `COMMENT ON COLUMN ${at}.${name} IS 'changed by others'`),
    some(0.5, `ALTER TABLE ${at} ADD CHECK (${name} IS NOT NULL OR ${name} IS NULL)`),
    some(0.5, `ALTER TABLE ${at} ADD theirs text DEFAULT 'own'`),
    some(0.3, `ALTER TABLE ${at} ALTER ${name} SET DEFAULT NULL`),
    some(0.4, `ALTER TABLE ${at} ALTER ${name} DROP NOT NULL`),
    some(0.3, `ALTER TABLE ${at} DROP c`, isOptional),
    some(0.5, `GRANT SELECT ON ${at} TO PUBLIC`),
    some(0.5, `CREATE INDEX ON ${at} (id, source_offset)`),
    "SELECT 1",
  ]);
}

const planOf = (name: string, table: PostgresTable<Row>): Plan =>
  pipeline(name, ({ from }) => {
    from(
      topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" }),
    ).upsertInto(table as never);
  }).plan();
