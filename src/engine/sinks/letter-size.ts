// A letter that its topic would not take: what is largest of its record is left out, and the letter says where the record
// lies and how to know it again. And back: the record of such a letter, read where it lies.
import { createHash } from "node:crypto";
import { MillraceError } from "../core/errors.ts";
import type { KafkaPort, PartitionReader } from "../core/kafka.ts";
import { headerText, type Headers, type OutRecord, type RawRecord } from "../core/record.ts";

/** More than the frame of a batch and of its only record ever are. */
const FRAME_BYTES = 160;
/** Two lengths as numbers of variable size. */
const HEADER_BYTES = 10;

const headersBytes = (headers: Headers): number =>
  headers.reduce(
    (sum, [name, value]) => sum + HEADER_BYTES + Buffer.byteLength(name) + (value?.length ?? 0),
    0,
  );

const sizeOf = ({ key, value, headers }: Letter): number =>
  FRAME_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + headersBytes(headers);

type Letter = Pick<OutRecord, "key" | "value" | "headers">;

const text = (name: string, value: string): Headers[number] => [`dlq.${name}`, Buffer.from(value)];

const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const without = (letter: Letter, side: "key" | "value"): Letter => {
  const bytes = letter[side] ?? Buffer.alloc(0);
  const facts = [
    text(`${side}-sha256`, hashOf(bytes)),
    text(`${side}-bytes`, String(bytes.length)),
  ];
  return { ...letter, [side]: null, headers: [...letter.headers, ...facts] };
};

const withoutHeaders = (letter: Letter, raw: RawRecord): Letter => {
  const own = letter.headers.slice(raw.headers.length);
  const dropped = text("headers-dropped", String(raw.headers.length));
  return { ...letter, headers: [...own, dropped] };
};

/**
 * The letter as the topic takes it. `letter` has the record's headers first, then its own. What is left out goes by size:
 * key or value become a hash and a length, headers a count.
 */
export function fitted<L extends Letter>(letter: L, raw: RawRecord, bytesMax: number): L {
  if (sizeOf(letter) <= bytesMax) return letter;
  const { topic, partition, offset } = raw;
  const pointer = text("pointer", `${topic}/${String(partition)}/${String(offset)}`);
  const ways: readonly [number, (of: Letter) => Letter][] = [
    [raw.value?.length ?? 0, (of) => without(of, "value")],
    [raw.key?.length ?? 0, (of) => without(of, "key")],
    [headersBytes(raw.headers), (of) => withoutHeaders(of, raw)],
  ];
  let small: Letter = { ...letter, headers: [...letter.headers, pointer] };
  for (const [, leaveOut] of [...ways].sort(([a], [b]) => b - a)) {
    small = leaveOut(small);
    if (sizeOf(small) <= bytesMax) break;
  }
  return { ...letter, ...small };
}

/** Key, value and headers of the record that became the letter. */
export interface LetterRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Without those of the letter. */
  readonly headers: Headers;
}

/**
 * The record of a letter: what it holds, and where something was left out, what lies where it points to. Throws
 * MILL_LETTER_ORIGINAL_GONE when nothing lies there any more, or another record.
 */
export async function letterValue(
  letter: Letter,
  kafka: Pick<KafkaPort, "reader">,
): Promise<LetterRecord> {
  const own = letter.headers.filter(([name]) => !name.startsWith("dlq."));
  const pointer = headerText(letter.headers, "dlq.pointer");
  if (pointer === null) return { key: letter.key, value: letter.value, headers: own };
  const original = await recordAt(pointer, kafka);
  for (const side of ["key", "value"] as const) {
    const hash = headerText(letter.headers, `dlq.${side}-sha256`);
    const bytes = original[side];
    const isSame =
      hash === null ? isEqual(letter[side], bytes) : bytes !== null && hashOf(bytes) === hash;
    if (!isSame) throw gone(`${pointer} is another record, by its ${side}`);
  }
  const headers = original.headers.filter(([name]) => !name.startsWith("dlq."));
  return { key: original.key, value: original.value, headers };
}

const isEqual = (a: Buffer | null, b: Buffer | null): boolean =>
  a === null || b === null ? a === b : a.equals(b);

const gone = (detail: string, cause?: unknown): MillraceError =>
  new MillraceError("MILL_LETTER_ORIGINAL_GONE", detail, { cause });

/** Reads that bring nothing: retention has passed it, or it was never committed. */
const EMPTY_READS_MAX = 10;

async function recordAt(pointer: string, kafka: Pick<KafkaPort, "reader">): Promise<RawRecord> {
  const [, topic = "", partition = "", at = ""] = /^(.+)\/(\d+)\/(\d+)$/.exec(pointer) ?? [];
  const fromOffset = BigInt(at);
  const reader = kafka.reader({ topic, partition: Number(partition), fromOffset });
  let found: RawRecord | undefined;
  try {
    found = await firstOf(reader, fromOffset);
  } catch (error) {
    const isGone = error instanceof MillraceError && /_(GONE|MISSING)$/.test(error.code);
    throw isGone ? gone(pointer, error) : error;
  } finally {
    await reader.close();
  }
  if (found === undefined) throw gone(pointer);
  return found;
}

/** The record at the offset at which the reader begins, if there is one. */
async function firstOf(reader: PartitionReader, offset: bigint): Promise<RawRecord | undefined> {
  for (let empty = 0; empty < EMPTY_READS_MAX; empty++) {
    const { records, nextOffset } = await reader.read();
    if (records.length > 0 || nextOffset > offset)
      return records.find((record) => record.offset === offset);
  }
  return undefined;
}
