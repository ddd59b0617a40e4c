// The outbox: dead letters of a sink on their way to the dead-letter topic. They are stored with the decision and sent after it,
// since a letter sent before could turn out false. Sent at least once; equal ids are one letter.
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import { MillraceError } from "../../core/errors.ts";
import { listOf, nullable, parseForeign, shownKey, text, type Check } from "../../core/foreign.ts";
import type { PendingLetter, SinkTaskId } from "../../core/ports.ts";
import { addressOf } from "../../core/record.ts";
import { chunks } from "../chunks.ts";
import { arrayLiteral } from "../column-encoding.ts";
import { OF_TASK, taskValues } from "./progress-row.ts";

const LIMITS = { itemsMax: 1_000, sizeMax: 8_000_000 };

export async function insertLetters(
  session: PostgresSession,
  task: SinkTaskId,
  letters: readonly PendingLetter[],
): Promise<void> {
  const sizeOf = ({ key, value }: PendingLetter): number =>
    (key?.length ?? 0) + (value?.length ?? 0);
  for (const chunk of chunks(letters, sizeOf, LIMITS))
    await session.query(
      `INSERT INTO millrace.letters (pipeline, part, topic, partition,
         id, letter_topic, letter_partition, letter_key, letter_value, letter_headers, letter_timestamp)
       SELECT $1, $2, $3, $4, given.* FROM unnest($5::text[], $6::text[], $7::integer[], $8::bytea[],
         $9::bytea[], $10::bytea[], $11::bigint[]) AS given
       ON CONFLICT (pipeline, part, topic, partition, id) DO NOTHING`,
      [...taskValues(task), ...letterArrays(chunk)],
    );
}

const letterArrays = (letters: readonly PendingLetter[]): string[] => {
  const columns: ((letter: PendingLetter) => string | null)[] = [
    ({ id }) => id,
    ({ topic }) => topic,
    ({ partition }) => String(partition),
    ({ key }) => hex(key),
    ({ value }) => hex(value),
    ({ headers }) => hex(headersToBytes(headers)),
    ({ timestamp }) => String(timestamp),
  ];
  return columns.map((column) => arrayLiteral(letters.map(column)));
};

const hex = (bytes: Buffer | null): string | null =>
  bytes === null ? null : `\\x${bytes.toString("hex")}`;

/** As bytes: a header's name may have what Postgres' texts refuse. */
const headersToBytes = (headers: PendingLetter["headers"]): Buffer =>
  Buffer.from(JSON.stringify(headers.map(([name, v]) => [name, v?.toString("base64") ?? null])));

/** A record takes about a megabyte, and Base64 a third more. */
const NAME_CHARS_MAX = 1_000_000;
const VALUE_CHARS_MAX = 2_000_000;

const header: Check = (value, path) =>
  Array.isArray(value) && value.length === 2
    ? (text(NAME_CHARS_MAX)(value[0], path) ?? nullable(text(VALUE_CHARS_MAX))(value[1], path))
    : `${path} is no header`;

/** Null for what `headersToBytes` does not write. */
function headersFromBytes(bytes: Buffer): PendingLetter["headers"] | null {
  const found = parseForeign<[string, string | null][]>(
    bytes.toString("utf8"),
    listOf(header),
    HEADERS_CHARS_MAX,
  );
  if ("why" in found) return null;
  return found.value.map(([name, value]) => [
    name,
    value === null ? null : Buffer.from(value, "base64"),
  ]);
}

/** All headers of a letter. */
const HEADERS_CHARS_MAX = 4_000_000;

interface LetterRow {
  readonly id: string;
  readonly letter_topic: string;
  readonly letter_partition: number;
  readonly letter_key: Buffer | null;
  readonly letter_value: Buffer | null;
  readonly letter_headers: Buffer;
  readonly letter_timestamp: string;
}

/** The oldest letters first. */
export async function readLetters(
  session: PostgresSession,
  task: SinkTaskId,
  lettersMax: number,
): Promise<readonly PendingLetter[]> {
  const { rows } = await session.query<LetterRow>(
    `SELECT id, letter_topic, letter_partition, letter_key, letter_value, letter_headers, letter_timestamp
     FROM millrace.letters WHERE ${OF_TASK} ORDER BY seq LIMIT $5`,
    [...taskValues(task), String(lettersMax)],
  );
  return rows.map((row) => letterOf(task, row));
}

/** Throws MILL_OUTBOX_INVALID for a row that no task has written: the letter is not known, so nothing is sent in its place. */
function letterOf(task: SinkTaskId, row: LetterRow): PendingLetter {
  const headers = headersFromBytes(row.letter_headers);
  const timestamp = Number(row.letter_timestamp);
  if (headers === null || !Number.isSafeInteger(timestamp)) {
    const { pipeline, part } = task;
    const why = headers === null ? "its headers are none" : "its time is none";
    const place = `pipeline ${pipeline}, part ${part}, ${addressOf(task)}, id ${shownKey(row.id)}`;
    throw new MillraceError("MILL_OUTBOX_INVALID", `${place}: ${why}`, { where: task });
  }
  return {
    ...{ id: row.id, topic: row.letter_topic, partition: row.letter_partition },
    ...{ key: row.letter_key, value: row.letter_value, headers, timestamp },
  };
}

export async function forgetLetters(
  session: PostgresSession,
  task: SinkTaskId,
  ids: readonly string[],
): Promise<void> {
  await session.query(`DELETE FROM millrace.letters WHERE ${OF_TASK} AND id = ANY($5::text[])`, [
    ...taskValues(task),
    arrayLiteral(ids),
  ]);
}
