// A dead letter as an operator sees it: its headers, and what the states topic says of it. Pure.
import { headerText, type RawRecord, type TopicName, type TopicPartition } from "../core/record.ts";
import {
  isOfLetter,
  letterHeaders,
  originalHeaders,
  originIn,
  originMsOf,
  safeWhole,
  type LetterState,
  type SaidState,
} from "../core/redrive.ts";
import { operatorOfResults } from "../core/state-results.ts";
import type { LetterPlace } from "../notes/generations.ts";

/** The facts that letters are grouped by. */
export interface Fingerprint {
  readonly class: string;
  readonly step: string;
  readonly rule: string | null;
  readonly code: string;
}

/** The place of the record of a letter without a value, and the hashes it must have. */
export interface Pointer extends TopicPartition {
  readonly offset: bigint;
  /** The hashes of what was left out. */
  readonly keySha256: string | null;
  readonly valueSha256: string | null;
}

/** The times of a window are as `toISOString` writes them. */
export interface LetterResult {
  readonly operator: string;
  /** The place of a record that has waited, as "topic-partition:offset"; null of results. */
  readonly record: string | null;
  /** The hash of the entry that was due; null of a letter that failed once more. */
  readonly entry: string | null;
  readonly windowStart: string | null;
  readonly windowEnd: string | null;
}

export interface FoundLetter extends Fingerprint {
  readonly id: string;
  readonly part: string;
  readonly stage: string;
  readonly message: string;
  /** The version of the pipeline that refused it. */
  readonly version: string;
  readonly schemaId: string | null;
  readonly origin: TopicPartition & { readonly offset: bigint; readonly timestamp: number };
  /** Set of a result of state: the operator that made it, and its window where it is of one; of a record that has waited: the store. */
  readonly result: LetterResult | null;
  /** The origin time of its record; null where it is not known, as in a letter of 0.1.0. */
  readonly originMs: number | null;
  readonly firstTime: string | null;
  readonly lastTime: string | null;
  /** A run's own topic, where its place is one of: the letter came along with a promotion. */
  readonly readIn: TopicName | null;
  /** The generation in which its record failed. */
  readonly generation: number;
  /** The number of times that it has been redriven. */
  readonly redrives: number;
  readonly isParked: boolean;
  readonly state: LetterState;
  /** The newest state that was said of it, also while it is over; null when nothing was. */
  readonly said: SaidState | null;
  readonly pointer: Pointer | null;
  /** The place of the letter itself. */
  readonly at: TopicPartition & { readonly offset: bigint };
  /** The record as it was; null where only facts were asked for. */
  readonly record: RawRecord | null;
}

export type LetterFacts = Omit<FoundLetter, "state" | "said" | "record">;

/** Null for a record that no task has written. `isParked` is true of every letter in a topic of 0.1.0. */
export function factsOf(raw: RawRecord, isParked = false): LetterFacts | null {
  const own = letterHeaders(raw.headers);
  const say = (name: string): string | null => headerText(own, `dlq.${name}`);
  const text = (name: string): string => say(name) ?? "";
  const id = text("id");
  const origin = originIn((name) => text(name));
  const [generation, redrives] = [say("generation"), say("redrives")].map((one) =>
    safeWhole(one ?? "0"),
  ) as [number, number];
  const readIn = say("read-in");
  const words = { id, origin, redrives, generation, ...(readIn === null ? {} : { readIn }) };
  // Somebody else has written what says other things.
  if (!isOfLetter(words)) return null;
  return {
    id,
    part: text("part"),
    class: text("class"),
    stage: text("stage"),
    step: text("step"),
    rule: say("rule"),
    code: text("code"),
    message: text("message"),
    version: text("version"),
    schemaId: say("schema-id"),
    origin,
    result: resultIn(origin, say),
    originMs: originMsOf(say("origin-time")),
    firstTime: timeIn(say("first-time")),
    lastTime: timeIn(say("last-time")),
    readIn,
    generation,
    redrives,
    isParked: isParked || say("parked") !== null,
    pointer: pointerOf(say),
    at: { topic: raw.topic, partition: raw.partition, offset: raw.offset },
  };
}

function resultIn(
  { topic }: FoundLetter["origin"],
  say: (name: string) => string | null,
): LetterResult | null {
  const operator = operatorOfResults(topic);
  if (operator === null) return null;
  const [windowStart, windowEnd] = [timeIn(say("window-start")), timeIn(say("window-end"))];
  return { operator, record: say("record"), entry: say("entry"), windowStart, windowEnd };
}

/** As `toISOString` writes it. */
const timeIn = (text: string | null): string | null =>
  text !== null && /^[\d:.TZ+-]{1,40}$/.test(text) ? text : null;

/** "topic/partition/offset", from the end: a topic's name has no slash, but nothing is lost by not relying on it. */
function pointerOf(say: (name: string) => string | null): Pointer | null {
  const found = /^(.+)\/(\d{1,10})\/(\d{1,19})$/.exec(say("pointer") ?? "");
  if (found === null) return null;
  const [, topic = "", partition = "", offset = ""] = found;
  const [keySha256, valueSha256] = [say("key-sha256"), say("value-sha256")];
  return { topic, partition: Number(partition), offset: BigInt(offset), keySha256, valueSha256 };
}

/** The record that failed, at the place where it was first read. */
export const originalOf = ({ origin }: LetterFacts, raw: RawRecord): RawRecord => ({
  ...origin,
  key: raw.key,
  value: raw.value,
  headers: originalHeaders(raw.headers),
});

export const letterPlace = ({ part, origin, generation, readIn }: LetterFacts): LetterPlace => ({
  ...{ part, generation, readIn },
  ...{ topic: origin.topic, partition: origin.partition, offset: origin.offset },
});

/** In release 0.1.0: whether its record was read again after that was said, and has failed again. */
export const isAnew = ({ at, isParked }: LetterFacts, said: LetterState | undefined): boolean =>
  said?.before !== undefined && !isParked && at.offset >= BigInt(said.before);
