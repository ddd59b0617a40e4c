// The form in which the servers' data are kept in the repository: everything that a release has left in Kafka, the schema
// registry, Redis and Postgres, with the places of records in their logs, commit and abort markers included.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

/** Time, key, value and headers; bytes in Base64. */
export type KeptRecord = readonly [
  timestamp: number,
  key: string | null,
  value: string | null,
  headers: readonly (readonly [string, string | null])[],
];

/** Records that one producer wrote from `offset` on; `producer` is null outside of transactions. */
export interface KeptBatch {
  readonly offset: number;
  readonly producer: number | null;
  readonly records: readonly KeptRecord[];
}

/** The end of a producer's transaction. */
export interface KeptMarker {
  readonly offset: number;
  readonly producer: number;
  readonly ends: "commit" | "abort";
}

export interface KeptPartition {
  /** Records below have been purged. */
  readonly low: number;
  readonly entries: readonly (KeptBatch | KeptMarker)[];
}

export interface KeptTopic {
  readonly name: string;
  readonly id: string;
  readonly config: Readonly<Record<string, string>>;
  readonly partitions: readonly KeptPartition[];
}

export interface KeptOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: number;
  readonly metadata: string;
}

export interface KeptHash {
  readonly key: string;
  readonly fields: readonly (readonly [string, string])[];
}

export interface Recording {
  readonly release: string;
  readonly commit: string;
  readonly takenMs: number;
  readonly topics: readonly KeptTopic[];
  readonly offsets: readonly KeptOffset[];
  /** In order of their ids, which count from one; several subjects may have one schema. */
  readonly schemas: readonly {
    readonly id: number;
    readonly subject: string;
    readonly schema: string;
  }[];
  readonly redis: readonly KeptHash[];
  /** SQL statements that make the database as it was. */
  readonly postgres: readonly string[];
  /** Dead letters as the release's own command shows them. */
  readonly letters: readonly Letter[];
}

/** A dead letter without the place of its record, since offsets in internal topics depend on the size of commits. */
export interface Letter {
  readonly pipeline: string;
  readonly state: string;
  readonly redrives: number;
  readonly class: string;
  readonly code: string;
  readonly step: string | null;
  readonly topic: string;
  readonly value: string | null;
}

/** The results of pipelines that have worked off everything. */
export interface Answer {
  /** Rows by table, without the columns that say when and from where a row came. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
  /** Values by output topic and key. */
  readonly topics: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly letters: readonly Letter[];
  /** Outcomes by pipeline and what its parts read. */
  readonly ledgers: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const folder = (release: string): string => join(import.meta.dirname, release);
const dataOf = (release: string): string => join(folder(release), "data.json.br");
const answerOf = (release: string): string => join(folder(release), "answer.json");

export const bytesOf = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, "base64");

export function writeRecording(recording: Recording): void {
  const text = Buffer.from(JSON.stringify(recording));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 };
  writeFileSync(dataOf(recording.release), brotliCompressSync(text, { params }));
}

export const readRecording = (release: string): Recording =>
  JSON.parse(brotliDecompressSync(readFileSync(dataOf(release))).toString()) as Recording;

export const writeAnswer = (release: string, answer: Answer): void =>
  writeFileSync(answerOf(release), `${JSON.stringify(answer, null, 1)}\n`);

export const readAnswer = (release: string): Answer =>
  JSON.parse(readFileSync(answerOf(release), "utf8")) as Answer;
