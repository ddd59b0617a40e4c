// A letter that its topic would not take: the largest parts of its record are left out, and the letter says where the
// record is and how to know it again. A redrive reads the record there (letters/pointer.ts).
import { createHash } from "node:crypto";
import { headerNameLength } from "../core/header-name.ts";
import { headerText, type Headers, type OutRecord, type RawRecord } from "../core/record.ts";
import { letterHeaders, originalHeaders } from "../core/redrive.ts";

/** More than the frame of a batch and of its only record ever are. */
const FRAME_BYTES = 160;
/** Two lengths as numbers of variable size. */
const HEADER_BYTES = 10;

const headersBytes = (headers: Headers): number =>
  headers.reduce(
    (sum, [name, value]) => sum + HEADER_BYTES + headerNameLength(name) + (value?.length ?? 0),
    0,
  );

const sizeOf = ({ key, value, headers }: LetterRecord): number =>
  FRAME_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + headersBytes(headers);

type LetterRecord = Pick<OutRecord, "key" | "value" | "headers">;

const text = (name: string, value: string): Headers[number] => [`dlq.${name}`, Buffer.from(value)];

const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const without = (letter: LetterRecord, side: "key" | "value"): LetterRecord => {
  const bytes = letter[side] ?? Buffer.alloc(0);
  const facts = [
    text(`${side}-sha256`, hashOf(bytes)),
    text(`${side}-bytes`, String(bytes.length)),
  ];
  return { ...letter, [side]: null, headers: [...letter.headers, ...facts] };
};

const withoutHeaders = (letter: LetterRecord, count: number): LetterRecord => {
  const own = letter.headers.slice(count);
  return { ...letter, headers: [...own, text("headers-dropped", String(count))] };
};

/**
 * The letter as the topic takes it. `letter` has the record's headers first, then its own. Parts are left out by size:
 * key or value become a hash and a length, headers a count.
 */
export function fitted<L extends LetterRecord>(letter: L, raw: RawRecord, bytesMax: number): L {
  if (sizeOf(letter) <= bytesMax) return letter;
  const pointer = `${raw.topic}/${String(raw.partition)}/${String(raw.offset)}`;
  return smaller(letter, raw.headers, pointer, bytesMax);
}

/** Reduces a letter to pointer and hash alone. A record that is no letter, or is so small already, stays as it is. */
export function reduced<L extends LetterRecord>(letter: L): L {
  const own = letterHeaders(letter.headers);
  const say = (name: string): string | null => headerText(own, `dlq.${name}`);
  const [topic, partition, offset] = [say("topic"), say("partition"), say("offset")];
  if (say("pointer") !== null || topic === null || partition === null || offset === null)
    return letter;
  const headers = originalHeaders(letter.headers);
  return smaller(letter, headers, `${topic}/${partition}/${offset}`, 0);
}

/** `headers` are the record's, and `pointer` is its place. */
function smaller<L extends LetterRecord>(
  letter: L,
  headers: Headers,
  pointer: string,
  bytesMax: number,
): L {
  const ways: readonly [number, (of: LetterRecord) => LetterRecord][] = [
    [letter.value?.length ?? 0, (of) => without(of, "value")],
    [letter.key?.length ?? 0, (of) => without(of, "key")],
    [headersBytes(headers), (of) => withoutHeaders(of, headers.length)],
  ];
  let small: LetterRecord = { ...letter, headers: [...letter.headers, text("pointer", pointer)] };
  for (const [, leaveOut] of [...ways].sort(([a], [b]) => b - a)) {
    small = leaveOut(small);
    if (sizeOf(small) <= bytesMax) break;
  }
  return { ...letter, ...small };
}
