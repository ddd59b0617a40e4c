// The record of a letter that was too large to carry it: read where it lies, and taken only if it is what it was.
import { createHash } from "node:crypto";
import { watermarksIfAny } from "../core/late-topics.ts";
import { isBetween, type Plan } from "../core/plan.ts";
import { readRange, type TopicPorts } from "../core/read-range.ts";
import type { RawRecord } from "../core/record.ts";
import { takenAge } from "../core/time-headers.ts";
import type { FoundLetter, Pointer } from "./found-letter.ts";

/** The record, or why there is none to send. */
export type Fetched = { readonly record: RawRecord } | { readonly gone: string };

export async function recordOf(
  plan: Plan,
  letter: FoundLetter,
  ports: TopicPorts,
): Promise<Fetched> {
  const { pointer, record } = letter;
  if (letter.result !== null) return resultOf(letter);
  if (pointer === null) return record === null ? { gone: "it was not read" } : { record };
  const found = await readAt(pointer, ports);
  if (found === null) return { gone: "retention has taken the record that it points to" };
  if (!isSame(found, pointer, record))
    return { gone: "the record that it points to is another one" };
  // The letter has the time of the record, so its age is no header of its own.
  const { headers } = isBetween(plan, pointer.topic) ? takenAge(found.headers) : found;
  return { record: { ...found, ...letter.origin, headers } };
}

/** A result lies in its letter alone. */
function resultOf({ pointer, record, result }: FoundLetter): Fetched {
  const place = result?.record ?? null;
  if (pointer !== null && place !== null)
    return { gone: `the record was too large for its letter, and lies at ${place} alone` };
  if (pointer !== null)
    return { gone: "the result was too large for its letter, and lies nowhere else" };
  if (record === null) return { gone: "it was not read" };
  if (record.value === null)
    return {
      gone: "its operator failed before there was a result: mend it, and read its source again",
    };
  return { record };
}

/** By the hash of what was left out, and by what was not; `kept` is null where only facts were read. */
function isSame(found: RawRecord, pointer: Pointer, kept: RawRecord | null): boolean {
  return (["key", "value"] as const).every((side) => {
    const bytes = found[side];
    const hash = pointer[`${side}Sha256`];
    if (hash === null) return kept === null || isEqual(bytes, kept[side]);
    // A letter that was refused as a whole has a hash of nothing for a side that its record does not have.
    const left = bytes ?? Buffer.alloc(0);
    // mistake: keyless letter lost
    return createHash("sha256").update(left).digest("hex") === hash;
  });
}

const isEqual = (a: Buffer | null, b: Buffer | null): boolean =>
  a === null || b === null ? a === b : a.equals(b);

async function readAt(pointer: Pointer, ports: TopicPorts): Promise<RawRecord | null> {
  const { topic, partition, offset } = pointer;
  // A run's own topic may have been dropped.
  const marks = await watermarksIfAny(ports.admin, topic);
  const mark = marks.find((at) => at.partition === partition);
  if (mark === undefined || offset < mark.low || offset >= mark.high) return null;
  const range = { topic, partition, from: offset, to: offset + 1n };
  for await (const { records } of readRange(ports.kafka, range))
    if (records[0] !== undefined) return records[0];
  return null;
}
