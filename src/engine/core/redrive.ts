// The words for a dead letter after it was written, as headers and JSON; other files write them. The redrive topic
// brings a letter back to the task that refused it; the compacted states topic tells its state.
import {
  anything,
  fields,
  flag,
  nullable,
  offsetText,
  oneOf,
  optional,
  parseKnown,
  text,
  time,
  whole,
  type Check,
} from "./foreign.ts";
import { headerText, type Headers, type OutRecord, type TopicName } from "./record.ts";

/** A failed record that was sent again: processed as at first, with its progress in the redrive topic. */
export interface Redriven {
  /** Its place in the redrive topic. */
  readonly topic: TopicName;
  readonly offset: bigint;
  readonly order: RedriveOrder;
}

/** The order that the headers of a redrive record carry. */
export interface RedriveOrder {
  /** The letter's id. */
  readonly id: string;
  /** The part that refused the record, and the place where it read it. */
  readonly part: string;
  readonly origin: {
    readonly topic: TopicName;
    readonly partition: number;
    readonly offset: bigint;
    readonly timestamp: number;
  };
  /** The number of redrives, this one included; a letter of the last one is parked. */
  readonly redrives: number;
  readonly redrivesMax: number;
  readonly firstTime: string | null;
  readonly job: string;
  /** The origin time of the record; left out where it is not known. */
  readonly originMs?: number;
  /** The generation of letters in which it was sent back; left out for the first one. */
  readonly generation?: number;
  /** The run's own topic that its offset belongs to; left out for a topic that live reads. */
  readonly readIn?: TopicName;
}

/** Ours begin at the last `dlq.id`: what a record brought along stays, even if it was named like ours. */
export function originalHeaders(headers: Headers): Headers {
  const begin = beginOfOurs(headers);
  return begin < 0 ? headers : headers.slice(0, begin);
}

/** The headers that Millrace gave a letter; empty when the record is no letter. */
export function letterHeaders(headers: Headers): Headers {
  const begin = beginOfOurs(headers);
  return begin < 0 ? [] : headers.slice(begin);
}

const beginOfOurs = (headers: Headers): number =>
  headers.findLastIndex(([name]) => name === "dlq.id");

export function redriveHeaders(order: RedriveOrder): Headers {
  const { id, part, origin, redrives, redrivesMax, firstTime, job, originMs } = order;
  const { generation, readIn } = order;
  const texts: readonly (readonly [string, string])[] = [
    ["id", id],
    ["part", part],
    ["topic", origin.topic],
    ["partition", String(origin.partition)],
    ["offset", String(origin.offset)],
    ["timestamp", String(origin.timestamp)],
    ["redrives", String(redrives)],
    ["redrives-max", String(redrivesMax)],
    ...(firstTime === null ? [] : [["first-time", firstTime] as const]),
    ["job", job],
    // mistake: letter as young as its record
    ...(originMs === undefined ? [] : [["origin-time", String(originMs)] as const]),
    // mistake: generation not sent back
    ...(generation === undefined ? [] : [["generation", String(generation)] as const]),
    ...(readIn === undefined ? [] : [["read-in", readIn] as const]),
  ];
  return texts.map(([name, text]) => [`dlq.${name}`, Buffer.from(text, "utf8")] as const);
}

/** Digits that a double has exactly. */
export const safeWhole = (text: string): number => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : NaN;
};

/** It becomes a part of keys. */
const ID = /^[\w.:-]{1,100}$/;
const NAME_MAX = 300;
const isName = (name: string): boolean => name !== "" && name.length <= NAME_MAX;
/** The last date that JavaScript has, epoch ms. */
const TIME_MAX = 8.64e15;
const OFFSET_END = 2n ** 63n;
/** So that one more redrive has a number too. */
const REDRIVES_END = 1_000_000_000;

/** Null when the headers are not what `redriveHeaders` writes. */
export function redriveOrderOf(headers: Headers): RedriveOrder | null {
  // The record may have been a letter of another pipeline, whose headers say other things.
  const own = letterHeaders(headers);
  const say = (name: string): string => headerText(own, `dlq.${name}`) ?? "";
  const whole = (name: string): number => safeWhole(say(name));
  const order: RedriveOrder = {
    id: say("id"),
    part: say("part"),
    origin: originIn(say),
    redrives: whole("redrives"),
    redrivesMax: whole("redrives-max"),
    firstTime: headerText(own, "dlq.first-time"),
    job: say("job"),
    ...originOf(own),
    ...generationOf(own, whole),
  };
  return isOrder(order) ? order : null;
}

/** For one that waits in state. */
export const redrivenCheck: Check = (value, path) => {
  const why = fields({ topic: text(300), offset: offsetCheck, order: anything })(value, path);
  if (why !== null) return why;
  const { order } = value as { readonly order: unknown };
  return orderCheck(order, `${path}.order`);
};

const offsetCheck: Check = (value, path) =>
  typeof value === "bigint" && value >= 0n && value < OFFSET_END ? null : `${path} is no offset`;

const timeCheck: Check = (value, path) =>
  Number.isSafeInteger(value) && Math.abs(value as number) <= TIME_MAX
    ? null
    : `${path} is no time`;

const orderCheck: Check = fields<RedriveOrder>({
  ...{ id: text(100, ID), part: text(NAME_MAX), redrives: whole(), redrivesMax: whole() },
  ...{ firstTime: nullable(text(NAME_MAX)), job: text(NAME_MAX), generation: optional(whole()) },
  ...{ originMs: optional(timeCheck), readIn: optional(text(NAME_MAX)) },
  origin: fields<RedriveOrder["origin"]>({
    ...{ topic: text(NAME_MAX), partition: whole(), offset: offsetCheck },
    timestamp: (stamp, path) => (Number.isInteger(stamp) ? null : `${path} is no time`),
  }),
});

/** The place of a record that failed, from the headers of its letter; what is none has NaN, or -1. */
export const originIn = (say: (name: string) => string): RedriveOrder["origin"] => ({
  topic: say("topic"),
  partition: safeWhole(say("partition")),
  offset: /^\d{1,19}$/.test(say("offset")) ? BigInt(say("offset")) : -1n,
  // Kafka's, which need be no date: -1 is none, and a producer may write any 64 bits.
  timestamp: /^-?\d{1,19}$/.test(say("timestamp")) ? Number(BigInt(say("timestamp"))) : NaN,
});

type LetterWords = Pick<RedriveOrder, "id" | "origin" | "redrives" | "generation" | "readIn">;

/** Whether a letter of ours may say so: what an operator sees of it, a redrive can send, and a task takes. */
export function isOfLetter({
  id,
  origin,
  redrives,
  generation = 0,
  readIn = "-",
}: LetterWords): boolean {
  const { topic, partition, offset, timestamp } = origin;
  const isNamed = ID.test(id) && isName(topic) && isName(readIn);
  const isPlace = offset >= 0n && offset < OFFSET_END && redrives < REDRIVES_END;
  return isNamed && isPlace && ![partition, timestamp, generation].some(Number.isNaN);
}

function isOrder({ part, job, firstTime, redrivesMax, ...letter }: RedriveOrder): boolean {
  const isShort = job.length <= NAME_MAX && (firstTime ?? "").length <= NAME_MAX;
  return isOfLetter(letter) && isName(part) && isShort && !Number.isNaN(redrivesMax);
}

function originOf(own: Headers): Pick<RedriveOrder, "originMs"> {
  const originMs = originMsOf(headerText(own, "dlq.origin-time"));
  return originMs === null ? {} : { originMs };
}

/** Null where there is none, or what is no time: the record is then as young as its event time says. */
export function originMsOf(text: string | null): number | null {
  const originMs = /^-?\d{1,16}$/.test(text ?? "") ? Number(text) : NaN;
  return Math.abs(originMs) <= TIME_MAX ? originMs : null;
}

/** The facts that an order of a later generation has beside. */
function generationOf(
  own: Headers,
  whole: (name: string) => number,
): Pick<RedriveOrder, "generation" | "readIn"> {
  const readIn = headerText(own, "dlq.read-in");
  const isFirst = headerText(own, "dlq.generation") === null;
  return {
    ...(isFirst ? {} : { generation: whole("generation") }),
    ...(readIn === null ? {} : { readIn }),
  };
}

/**
 * open: nobody has dealt with it · redriven: on its way back · resolved: it was processed · discarded: given up · over: never
 * said of a letter, but seen when a later generation reads its record again · unreadable: what was said of it cannot be
 * read, so it goes nowhere.
 */
export type LetterStateName =
  "open" | "redriven" | "resolved" | "discarded" | "over" | "unreadable";

/** The state of a letter. A letter without a state is open. */
export interface LetterState {
  readonly state: LetterStateName;
  /** The number of redrives at that moment; a state with an older number changes nothing. */
  readonly redrives: number;
  readonly atMs: number;
  /** The command that redrove or discarded it. */
  readonly job?: string;
  /** The outcome, as the ledger names it, or the code of its failure. */
  readonly outcome?: string;
  readonly reason?: string;
  /** It failed as often as is allowed and is in the parked topic. */
  readonly parked?: boolean;
  /** The seal of the record that was sent back; left out by releases that did not know it. */
  readonly seal?: string;
  /** A redriven record waits in state for a call. */
  readonly queued?: true;
  /** Its record is in no topic any more; written by 0.1.0. */
  readonly lost?: true;
  /** Nobody has given it up, its record went through another way; written by 0.1.0. */
  readonly passed?: true;
  /** The state concerns only letters before this offset of the dead-letter topic, whose records were read again; written by 0.1.0. */
  readonly before?: string;
}

/** For a state that is read. */
export const letterStateCheck: Check = fields<LetterState>({
  state: oneOf(["open", "redriven", "resolved", "discarded"]),
  ...{ redrives: whole(), atMs: time, job: optional(text(300)), outcome: optional(text(1_000)) },
  ...{ reason: optional(text(10_000)), parked: optional(flag), queued: optional(oneOf([true])) },
  seal: optional(text(100)),
  ...{ lost: optional(oneOf([true])), passed: optional(oneOf([true])) },
  before: optional(offsetText),
});

/** A state, and the generation in which it was said. */
export interface SaidState extends LetterState {
  readonly generation: number;
}

const STATE = "letter/";

export const stateKeyOf = (id: string, generation: number): string =>
  `${STATE}${id}${generation === 0 ? "" : `/${String(generation)}`}`;

/** Each generation has a note of its own, so that an undo finds what was said before. */
export const stateRecord = (
  topic: TopicName,
  { id, generation }: { readonly id: string; readonly generation: number },
  state: LetterState,
): OutRecord => ({
  topic,
  partition: 0,
  key: Buffer.from(stateKeyOf(id, generation)),
  value: Buffer.from(JSON.stringify(state)),
  headers: [],
  timestamp: state.atMs,
});

/** Notes of the states topic, each checked; of those that are lost nobody knows what they said. */
export type NotedStates = ReadonlyMap<string, string> & {
  readonly faults?: ReadonlyMap<string, { readonly isCovered: boolean; readonly why: string }>;
};

/** The letters' states among what is noted in the states topic, by id: of each the oldest generation first. */
export function statesIn(notes: NotedStates): Map<string, SaidState[]> {
  const states = new Map<string, SaidState[]>();
  const add = (key: string, state: LetterState): void => {
    const [id = "", generation = "0"] = key.slice(STATE.length).split("/");
    const said = { ...state, generation: Number(generation) };
    const others = states.get(id);
    if (others === undefined) states.set(id, [said]);
    else others.push(said);
  };
  for (const [key, text] of notes)
    if (key.startsWith(STATE)) add(key, parseKnown<LetterState>(text, letterStateCheck));
  for (const [key, { isCovered, why: reason }] of notes.faults ?? [])
    if (!isCovered && key.startsWith(STATE))
      add(key, { state: "unreadable", redrives: 0, atMs: 0, reason });
  for (const said of states.values()) said.sort((a, b) => a.generation - b.generation);
  return states;
}

/** The newest state of each letter, in whatever line of generations it was said. */
export const lastStates = (notes: NotedStates): Map<string, SaidState> =>
  new Map([...statesIn(notes)].map(([id, said]) => [id, said.at(-1) as SaidState]));
