// A dead letter: the original key, value and headers byte for byte, and ours appended (readers take the last of a
// name); what its topic would not take is left out (letter-size.ts). Its id is a function of the record's address, so the same letter sent twice is one.
import { createHash } from "node:crypto";
import type { Failure } from "../core/outcome.ts";
import type { Headers, OutRecord, RawRecord } from "../core/record.ts";
import type { RedriveOrder } from "../core/redrive.ts";
import { operatorOfResults, placeOfWaited, windowOfResults } from "../core/state-results.ts";
import { fitted } from "./letter-size.ts";

export interface LetterOrigin {
  readonly pipeline: string;
  readonly part: string;
  readonly version: string;
  /** The dead-letter topic and its number of partitions. */
  readonly topic: string;
  readonly partitions: number;
  /** The largest record that it takes. */
  readonly bytesMax: number;
  /** The compacted topic of letters' states. */
  readonly states: string;
  /** The generation in which the worker reads. */
  readonly generation: number;
}

/** 32 hex digits of SHA-256 over pipeline, part and address; of a result of state also over the entry that was due. */
export const letterId = (
  origin: Pick<LetterOrigin, "pipeline" | "part">,
  raw: Pick<RawRecord, "topic" | "partition" | "offset" | "entry">,
): string => {
  const entry = raw.entry === undefined ? "" : `/${raw.entry}`;
  const address = `${raw.topic}/${String(raw.partition)}/${String(raw.offset)}${entry}`;
  const text = `${origin.pipeline}/${origin.part}/${address}`;
  return hashOf(text);
};

/** A worker that does not read the part of a later generation may still bring back one of its letters. */
export const generationOf = ({ generation }: LetterOrigin, { redriven }: RawRecord): number =>
  // mistake: generation not in the letter
  Math.max(generation, redriven?.order.generation ?? 0);

/** A letter that comes back keeps its id. */
export const letterIdOf = (origin: LetterOrigin, raw: RawRecord): string =>
  raw.redriven?.order.id ?? letterId(origin, entered(raw));

/** With a hash of its entry, which the letter has too. */
const entered = ({ entry, ...raw }: RawRecord): RawRecord =>
  entry === undefined ? raw : { ...raw, entry: hashOf(entry) };

const hashOf = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 32);

/** Whether another failure is one too many. */
export const isParked = ({ redriven }: RawRecord): boolean =>
  redriven !== undefined && redriven.order.redrives >= redriven.order.redrivesMax;

/** `nowMs` is when it failed, in epoch milliseconds. */
export function letterOf(
  raw: RawRecord,
  failure: Failure,
  origin: LetterOrigin,
  nowMs: number,
): OutRecord & { readonly id: string } {
  const id = letterIdOf(origin, raw);
  const generation = generationOf(origin, raw);
  const facts: Record<string, string | null> = {
    id,
    class: failure.class,
    stage: failure.stage,
    step: failure.step,
    rule: failure.rule,
    code: failure.code,
    message: failure.message,
    ...placeFacts(raw),
    ...resultFacts(raw),
    "origin-time": originTimeOf(raw, failure),
    pipeline: origin.pipeline,
    part: origin.part,
    version: origin.version,
    "schema-id": schemaIdOf(raw.value),
    attempt: String(failure.tried?.times ?? 1),
    "first-time": timeText(failure.tried?.firstMs ?? nowMs),
    "last-time": timeText(nowMs),
    redrives: "0",
    ...(raw.redriven === undefined ? {} : factsBefore(raw.redriven.order)),
    parked: isParked(raw) ? "true" : null,
    generation: generation === 0 ? null : String(generation),
  };
  const { key, value } = raw;
  const letter = {
    ...{ id, topic: origin.topic, partition: raw.partition % origin.partitions, key, value },
    ...{ headers: [...raw.headers, ...headersOf(facts)], timestamp: nowMs, source: raw },
  };
  return fitted(letter, raw, origin.bytesMax);
}

const placeFacts = ({ topic, partition, offset, timestamp }: RawRecord) => ({
  ...{ topic, partition: String(partition), offset: String(offset) },
  timestamp: String(timestamp),
});

/** Headers for a result of state and its window, or for records that have waited. */
function resultFacts({ topic, value, entry }: RawRecord): Readonly<Record<string, string | null>> {
  const operator = operatorOfResults(topic);
  if (operator === null) return {};
  const results: unknown = value === null ? null : JSON.parse(value.toString("utf8"));
  const window = windowOfResults(results);
  return {
    operator,
    record: placeOfWaited(results),
    entry: entry === undefined ? null : hashOf(entry),
    "window-start": window === null ? null : timeText(window.startMs),
    "window-end": window === null ? null : timeText(window.endMs),
  };
}

/** A letter that comes back keeps its origin time (B4). */
function originTimeOf({ redriven }: RawRecord, { originMs }: Failure): string | null {
  const known = redriven?.order.originMs ?? originMs;
  return known === undefined ? null : String(known);
}

/** What is known of a letter that comes back. */
function factsBefore(order: RedriveOrder): Readonly<Record<string, string | null>> {
  const { firstTime, redrives, readIn = null } = order;
  const first = firstTime === null ? {} : { "first-time": firstTime };
  return { ...first, redrives: String(redrives), "read-in": readIn };
}

const timeText = (epochMs: number): string => new Date(epochMs).toISOString();

const headersOf = (facts: Readonly<Record<string, string | null>>): Headers =>
  Object.entries(facts).flatMap(([name, text]) =>
    text === null ? [] : [[`dlq.${name}`, Buffer.from(text, "utf8")] as const],
  );

/** The id in the Confluent wire format, if the value begins like it. */
const schemaIdOf = (value: Buffer | null): string | null =>
  value !== null && value.length >= 5 && value[0] === 0 ? String(value.readInt32BE(1)) : null;
