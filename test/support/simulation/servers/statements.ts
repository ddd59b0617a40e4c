// What the engine's statements do, as far as a simulated Postgres must know: conditions and conflict rules are read from
// the text, so a statement that leaves one out does what it then says.
import type pg from "pg";
import { translate } from "../../../../src/engine/clients/postgres/fault.ts";
import type { QueryResult } from "../../../../src/engine/clients/postgres/pool.ts";
import type { SimulatedPostgres, Transaction } from "./postgres.ts";

export type StoredRow = Readonly<Record<string, string | number | Buffer | null>>;
/** The error by which the table refuses the row, if it does: as the driver would have thrown it. */
export type Refuses = (table: string, row: StoredRow) => pg.DatabaseError | null;

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}
type Result = QueryResult<unknown>;
type Execute = (
  server: SimulatedPostgres,
  transaction: Transaction,
  statement: Statement,
) => Promise<Result> | Result;

const NOTHING: Result = { rows: [], count: 0 };

/** The first that fits; the name is what faults ask for. */
const kinds: readonly (readonly [RegExp, string, Execute])[] = [
  [/^ROLLBACK TO SAVEPOINT/, "savepoint", rollbackTo],
  [/^SAVEPOINT/, "savepoint", savepoint],
  [/^(SET CONSTRAINTS ALL IMMEDIATE; )?RELEASE SAVEPOINT/, "savepoint", releaseSavepoint],
  [/^SELECT next_offset/, "progress", readProgress],
  [/^UPDATE millrace.progress\s+SET epoch/, "takeOver", raiseEpoch],
  [/^UPDATE millrace.progress\s+SET next_offset/, "advance", advance],
  [/^INSERT INTO millrace.progress/, "takeOver", insertProgress],
  [/^INSERT INTO millrace.letters/, "owe", owe],
  [/^SELECT id, letter_topic/, "owed", owed],
  [/^DELETE FROM millrace.letters/, "forget", forget],
  [/^WITH input AS/, "upsert", upsert],
  [/^SELECT \("#" - 1\)/, "compare", compare],
];

const kindOf = (text: string): (typeof kinds)[number] => {
  const found = kinds.find(([shape]) => shape.test(text.trim()));
  if (found === undefined) throw new TypeError(`the simulated Postgres does not know: ${text}`);
  return found;
};

export const callOf = (text: string): string => kindOf(text)[1];

export const execute = async (...given: Parameters<Execute>): Promise<Result> =>
  kindOf(given[2].text)[2](...given);

const nameIn = (text: string): string => /SAVEPOINT (\w+)/.exec(text)?.[1] ?? "";

function savepoint(_: SimulatedPostgres, transaction: Transaction, { text }: Statement): Result {
  transaction.savepoint(nameIn(text));
  return NOTHING;
}
function releaseSavepoint(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text }: Statement,
): Result {
  transaction.releaseSavepoint(nameIn(text));
  return NOTHING;
}
function rollbackTo(_: SimulatedPostgres, transaction: Transaction, { text }: Statement): Result {
  transaction.rollbackTo(nameIn(text));
  if (text.includes("; RELEASE")) transaction.releaseSavepoint(nameIn(text));
  return NOTHING;
}

const taskOf = (values: readonly unknown[]): string => JSON.stringify(values.slice(0, 4));
const progressName = (values: readonly unknown[]): string => `progress ${taskOf(values)}`;

const progressRow = (row: StoredRow | null): Result =>
  row === null
    ? NOTHING
    : { rows: [{ ...row, ledger: JSON.parse(String(row["ledger"])) as unknown }], count: 1 };

async function readProgress(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Promise<Result> {
  if (text.includes("FOR UPDATE")) await transaction.lock(progressName(values));
  return progressRow(transaction.get(progressName(values)));
}

async function raiseEpoch(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Promise<Result> {
  const name = progressName(values);
  await transaction.lock(name);
  const row = transaction.get(name);
  if (row === null) return NOTHING;
  const step = text.includes("epoch = epoch + 1") ? 1n : 0n;
  const raised = { ...row, epoch: String(BigInt(String(row["epoch"])) + step) };
  transaction.set(name, raised);
  return progressRow(raised);
}

async function insertProgress(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Promise<Result> {
  const name = progressName(values);
  await transaction.lock(name);
  const old = transaction.get(name);
  const given = { next_offset: String(values[4]), ledger: String(values[5]) };
  const epoch = String(BigInt(String(old?.["epoch"] ?? 0)) + 1n);
  const isPut = old === null || text.includes("next_offset = excluded.next_offset");
  const row = isPut ? { ...given, epoch } : { ...old, epoch };
  transaction.set(name, row);
  return progressRow(row);
}

async function advance(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Promise<Result> {
  const name = progressName(values);
  await transaction.lock(name);
  const row = transaction.get(name);
  const isEpoch = !text.includes("epoch = $8") || row?.["epoch"] === values[7];
  const isOffset = !text.includes("AND next_offset = $9") || row?.["next_offset"] === values[8];
  if (row === null || !isEpoch || !isOffset) return NOTHING;
  const [next_offset, ledger] = [String(values[4]), String(values[5])];
  transaction.set(name, { ...row, next_offset, ledger });
  return { rows: [], count: 1 };
}

const letterPrefix = (values: readonly unknown[]): string => `letter ${taskOf(values)} `;

function owe(server: SimulatedPostgres, transaction: Transaction, { values }: Statement): Result {
  const columns = values.slice(4).map((text) => arrayOf(String(text)));
  const [ids = []] = columns;
  ids.forEach((id, i) => {
    const name = `${letterPrefix(values)}${String(id)}`;
    if (transaction.get(name) !== null) return;
    const [, topic, partition, key, value, headers, timestamp] = columns.map((of) => of[i] ?? null);
    transaction.set(name, {
      seq: server.nextSequence(),
      id: id ?? "",
      letter_topic: topic ?? "",
      letter_partition: Number(partition),
      letter_key: bytesOf(key ?? null),
      letter_value: bytesOf(value ?? null),
      letter_headers: bytesOf(headers ?? null),
      letter_timestamp: timestamp ?? "0",
    });
  });
  return { rows: [], count: ids.length };
}

const bytesOf = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text.slice(2), "hex");

function owed(_: SimulatedPostgres, transaction: Transaction, { values }: Statement): Result {
  const rows = [...transaction.of(letterPrefix(values))].map(([, row]) => row);
  const oldest = rows.sort((a, b) => Number(a["seq"]) - Number(b["seq"]));
  const limited = oldest.slice(0, Number(values[4]));
  return { rows: limited, count: limited.length };
}

function forget(_: SimulatedPostgres, transaction: Transaction, { values }: Statement): Result {
  for (const id of arrayOf(String(values[4])))
    transaction.set(`${letterPrefix(values)}${String(id)}`, null);
  return NOTHING;
}

/** What an upsert says of itself. */
interface UpsertText {
  readonly table: string;
  readonly columns: readonly string[];
  readonly keys: readonly string[];
  /** Says which row is newer; null: every row replaces the stored one. */
  readonly version: string | null;
  /** Where that is what the statement says: of one version, what lies in another topic is newer, or further behind in it. */
  readonly breaksTies: boolean;
}

const quotedIn = (text: string): string[] =>
  [...text.matchAll(/"([^"]+)"/g)].map(([, n]) => n ?? "");
const TIES =
  /\(\(stored\."source_topic" OPERATOR\(pg_catalog\.=\) excluded\."source_topic"\) IS NOT TRUE OR stored\."source_offset" OPERATOR\(pg_catalog\.<\) excluded\."source_offset"\)/;
const upserts = new Map<string, UpsertText>();

function upsertText(text: string): UpsertText {
  const known = upserts.get(text);
  if (known !== undefined) return known;
  const found = /INSERT INTO (\S+) AS stored \(([^)]*)\)/.exec(text);
  const conflict = /ON CONFLICT \(([^)]*)\)/.exec(text)?.[1] ?? "";
  const version =
    /DO UPDATE[^]*?WHERE stored\."([^"]+)"(?: COLLATE pg_catalog\."C")? OPERATOR\(pg_catalog\.<\) excluded/.exec(
      text,
    )?.[1] ?? null;
  const read = {
    table: found?.[1] ?? "",
    columns: quotedIn(found?.[2] ?? ""),
    keys: quotedIn(conflict),
    version,
    breaksTies: TIES.test(text),
  };
  upserts.set(text, read);
  return read;
}

/** Row by row, in the order given, each locked before it is looked at. */
async function upsert(
  server: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Promise<Result> {
  const { table, columns, keys, ...rule } = upsertText(text);
  const arrays = values.slice(0, -3).map((array) => arrayOf(String(array)));
  const unchanged: { position: number; isStale: boolean }[] = [];
  const count = arrays[0]?.length ?? 0;
  for (let position = 0; position < count; position++) {
    const row: Record<string, string | null> = {};
    arrays.forEach((array, c) => (row[columns[c] as string] = array[position] ?? null));
    row[columns[arrays.length] as string] = String(values.at(-3));
    const refusal = server.refuses(table, row);
    if (refusal !== null) throw translate(refusal, "simulated:5432/db");
    const name = `row ${table} ${keys.map((key) => row[key]).join("/")}`;
    await transaction.lock(name);
    const stored = transaction.get(name);
    if (stored === null || isOlder(stored, row, rule)) transaction.set(name, row);
    else unchanged.push({ position, isStale: true });
  }
  const changed = count - unchanged.length;
  return { rows: unchanged.map((row) => ({ ...row, changed })), count: unchanged.length };
}

interface CompareText extends UpsertText {
  /** The columns of the arrays, without the place. */
  readonly given: readonly string[];
}
const comparisons = new Map<string, CompareText>();

function compareText(text: string): CompareText {
  const known = comparisons.get(text);
  if (known !== undefined) return known;
  const [, table = "", on = ""] = /JOIN (\S+) AS stored ON (.*)/.exec(text) ?? [];
  const given = quotedIn(/AS given\(([^)]*)\)/.exec(text)?.[1] ?? "").slice(0, -1);
  const read = {
    table,
    given,
    columns: given,
    keys: [...on.matchAll(/stored\."([^"]+)"/g)].map(([, name]) => name ?? ""),
    version:
      /WHERE \(stored\."([^"]+)"(?: COLLATE pg_catalog\."C")? OPERATOR\(pg_catalog\.<\) excluded/.exec(
        text,
      )?.[1] ?? null,
    breaksTies: TIES.test(text),
  };
  comparisons.set(text, read);
  return read;
}

/** Which of the rows are no newer than what is stored. */
function compare(
  _: SimulatedPostgres,
  transaction: Transaction,
  { text, values }: Statement,
): Result {
  const { table, given, keys, ...rule } = compareText(text);
  const arrays = values.slice(0, -1).map((array) => arrayOf(String(array)));
  const rows = (arrays[0] ?? []).flatMap((_one, position) => {
    const row: Record<string, string | null> = { source_topic: String(values.at(-1)) };
    arrays.forEach((array, c) => (row[given[c] as string] = array[position] ?? null));
    const stored = transaction.get(`row ${table} ${keys.map((key) => row[key]).join("/")}`);
    return stored === null || isOlder(stored, row, rule) ? [] : [{ position }];
  });
  return { rows, count: rows.length };
}

type Rule = Pick<UpsertText, "version" | "breaksTies">;

function isOlder(stored: StoredRow, given: StoredRow, { version, breaksTies }: Rule): boolean {
  if (version === null) return true;
  const [a, b] = [numberOf(stored[version]), numberOf(given[version])];
  if (a !== b || !breaksTies) return a < b;
  if (stored["source_topic"] !== given["source_topic"]) return true;
  return numberOf(stored["source_offset"]) < numberOf(given["source_offset"]);
}

const numberOf = (text: StoredRow[string] | undefined): number =>
  /^-?\d+(\.\d+)?$/.test(String(text)) ? Number(text) : Date.parse(String(text));

/** Postgres' array literal of texts. */
function arrayOf(text: string): (string | null)[] {
  const items: (string | null)[] = [];
  for (const [, quotedText, plain] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^",]+)/g))
    if (quotedText !== undefined) items.push(quotedText.replace(/\\(.)/g, "$1"));
    else items.push(plain === "NULL" ? null : (plain ?? null));
  return items;
}
