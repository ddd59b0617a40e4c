// The progress of a task in each of its input partitions: the next offset, the ledger and the time, which belong
// together and are committed together; and the metadata that carries ledger and time beside the offset (at most 4,096
// bytes, Kafka's default offset.metadata.max.bytes).
import { assert } from "./errors.ts";
import { fields, offsetText, oneOf, optional, parseForeign, text, type Check } from "./foreign.ts";
import type { Progress } from "./kafka.ts";
import {
  ChannelTimes,
  END_OF_TIME,
  NO_TIME,
  SourceTime,
  type InputTime,
  type Mark,
  type StoredTime,
  type WorkLeft,
} from "./event-time.ts";
import {
  addLedger,
  emptyLedger,
  ledgerCheck,
  ledgerFrom,
  type LedgerCounts,
  withoutOperators,
} from "./ledger.ts";
import { Loading, type LoadStart } from "./loading.ts";
import type { Part } from "./plan.ts";
import type { TopicName } from "./record.ts";
import { varints, varintsIn } from "./time-headers.ts";

export interface ProgressMetadata {
  /** The transactional id under which this progress was committed: a successor ends its open transaction. */
  readonly owner: string;
  readonly ledger: LedgerCounts;
  /** The times of the input, where its part keeps them (K1). */
  readonly time?: StoredTime;
  /** The end to which a reference topic is read before the task's other inputs; null once it is. */
  readonly loadTo?: bigint | null;
}

/** Kafka's default `offset.metadata.max.bytes`. */
export const METADATA_BYTES_MAX = 4096;

export function encodeMetadata(metadata: ProgressMetadata): string {
  const { owner, ledger, time = {}, loadTo } = metadata;
  const load = loadTo?.toString();
  const times = timeFields(time);
  const whole = JSON.stringify({ v: 1, owner, ...times, load, ledger });
  if (Buffer.byteLength(whole) <= METADATA_BYTES_MAX) return whole;
  // Too many operator names: keep the sums, which are what must balance.
  return JSON.stringify({ v: 1, owner, ...times, load, ledger: withoutOperators(ledger) });
}

interface StoredMetadata {
  readonly v: 1;
  readonly owner: string;
  readonly load?: string;
  readonly ledger?: object;
}

const storedCheck: Check = fields<StoredMetadata>({
  ...{ v: oneOf([1]), owner: text(1_000), load: optional(offsetText) },
  ledger: optional(ledgerCheck),
});

/** The last millisecond that a Date knows. */
const TIME_MAX = 8_640_000_000_000_000;
const isTime = (ms: number): boolean => !Number.isFinite(ms) || Math.abs(ms) <= TIME_MAX;

const metadataCheck: Check = (value, path) => {
  const why = storedCheck(value, path);
  if (why !== null) return why;
  const times = storedTimeOf({ ...(value as TimeFields) });
  if (times === undefined) return "its times are none";
  const { time = 0, asserted = 0, channels = [] } = times;
  return [time, asserted, ...channels].every(isTime) ? null : "it has a time beyond every date";
};

/** Null for metadata that is not ours (an offset that somebody set by hand). */
export function decodeMetadata(metadata: string): ProgressMetadata | null {
  const found = parseForeign<StoredMetadata & TimeFields>(metadata, metadataCheck);
  if ("why" in found) return null;
  const { owner, load, ledger = {}, ...times } = found.value;
  const loading = load === undefined ? {} : { loadTo: BigInt(load) };
  return { owner, time: storedTimeOf(times) ?? {}, ...loading, ledger: ledgerFrom(ledger) };
}

/** The fault of metadata, without which ledger and time of the task are not known; null: it has none, or nobody wrote any. */
export function wrongMetadata(metadata: string): string | null {
  if (metadata === "") return null;
  const found = parseForeign(metadata, metadataCheck);
  return "why" in found ? found.why : null;
}

// In JSON: whole numbers are times, and "end" is the end of time. The channels of an internal topic are one text: base64 of
// numbers of variable size, first the greatest watermark, then for each channel how far it is behind (metadata-size.ts says how
// many have room).

type TimeInJson = number | "end" | null;

interface TimeFields {
  readonly time?: TimeInJson;
  readonly asserted?: TimeInJson;
  readonly channels?: string;
  readonly left?: WorkLeft;
}

const toJson = (time: number): TimeInJson =>
  time === END_OF_TIME ? "end" : time === NO_TIME ? null : time;

export function timeFields({ time, asserted, channels, left }: StoredTime): TimeFields {
  const work = left === undefined ? {} : { left };
  if (channels !== undefined) return { channels: channelsText(channels), ...work };
  return {
    ...(time === undefined ? {} : { time }),
    ...(asserted === undefined ? {} : { asserted: toJson(asserted) }),
    ...work,
  };
}

/** The distance of a channel that was not heard of, and of one that has ended; that of a time is more by these two. */
const UNHEARD = 0;
const ENDED = 1;
const FIRST = 2;
/** Added to a watermark, since one may lie before 1970, by a grace. */
const SHIFT_MS = 2 ** 48;

function channelsText(channels: readonly number[]): string {
  const greatest = Math.max(-SHIFT_MS, ...channels.filter((one) => one < END_OF_TIME));
  const distances = channels.map((one) =>
    one === END_OF_TIME ? ENDED : distanceOf(greatest, one),
  );
  return varints([greatest + SHIFT_MS, ...distances]).toString("base64url");
}

/** A channel too far behind for a number counts as not heard of. */
function distanceOf(greatest: number, one: number): number {
  const distance = FIRST + greatest - one;
  return Number.isSafeInteger(distance) ? distance : UNHEARD;
}

function channelsOf(text: unknown): readonly number[] | undefined {
  if (typeof text !== "string" || !/^[\w-]*$/.test(text)) return undefined;
  const [shifted, ...distances] = varintsIn(Buffer.from(text, "base64url")) ?? [];
  if (shifted === undefined || distances.length === 0) return undefined;
  const special: readonly number[] = [NO_TIME, END_OF_TIME];
  return distances.map((one) => special[one] ?? shifted - SHIFT_MS - (one - FIRST));
}

/** Undefined when the fields are not what `timeFields` writes. */
export function storedTimeOf(stored: {
  readonly [field: string]: unknown;
}): StoredTime | undefined {
  const { left } = stored;
  const work: Pick<StoredTime, "left"> = left === "due" || left === "queued" ? { left } : {};
  if (stored["channels"] !== undefined) {
    const channels = channelsOf(stored["channels"]);
    return channels === undefined ? undefined : { channels, ...work };
  }
  const [t, a] = [timeIn(stored["time"]), timeIn(stored["asserted"])];
  if (t === undefined || a === undefined) return undefined;
  const asserted = a === NO_TIME ? {} : { asserted: a };
  return { ...(t === NO_TIME ? {} : { time: t }), ...asserted, ...work };
}

function timeIn(field: unknown): number | undefined {
  if (field === undefined || field === null) return NO_TIME;
  if (field === "end") return END_OF_TIME;
  return typeof field === "number" && Number.isFinite(field) ? field : undefined;
}

interface Input {
  nextOffset: bigint;
  /** Taken by a checkpoint that may still fail. */
  staged: bigint;
  /** Decided. */
  committed: bigint;
  readonly ledger: LedgerCounts;
  /** Null where the part keeps no times, and for what moves none. */
  readonly time: InputTime | null;
}

/** The offset at which a task begins in one of its inputs, with what its metadata has. */
export interface InputStart extends LoadStart {
  readonly ledger: LedgerCounts;
  readonly time: StoredTime;
}

/** Makes the time of an input from what was stored; null: it keeps none. */
export type TimeOf = (topic: TopicName, stored: StoredTime) => InputTime | null;

/** A part keeps times if it has state, or if what it writes is read by another part. Letters that come back move none (B4). */
export function timeOfPart({ nodes, sources, stores }: Part): TimeOf {
  const isUsed = stores.length > 0 || nodes.some(({ facts }) => facts.writes === "repartition");
  const byName = new Map(sources.map((topic) => [topic.name, topic]));
  return (name, stored) => {
    const topic = isUsed ? byName.get(name) : undefined;
    if (topic === undefined) return null;
    if (topic.internal === null) return new SourceTime(stored);
    return topic.channels === undefined ? null : new ChannelTimes(topic.channels, stored);
  };
}

export class TaskInputs {
  readonly partition: number;
  readonly #inputs: ReadonlyMap<TopicName, Input>;
  #loading: Loading | null;
  /** An end was asserted that no checkpoint has taken. */
  #hasEnded = false;
  /** Time was asserted that no checkpoint has taken. */
  #hasAsserted = false;
  /** The work that the last checkpoint said to be left. */
  #left: WorkLeft | undefined;

  constructor(partition: number, starts: readonly InputStart[], timeOf: TimeOf) {
    this.partition = partition;
    this.#loading = Loading.of(starts);
    this.#left = starts.find(({ time }) => time.left !== undefined)?.time.left;
    this.#inputs = new Map(
      starts.map(({ topic, nextOffset, ledger, time }) => [
        topic,
        {
          ...{ nextOffset, staged: nextOffset, committed: nextOffset },
          ledger: addLedger(emptyLedger(), ledger),
          // mistake: stream time forgotten
          // mistake: times of writers forgotten
          time: timeOf(topic, time),
        },
      ]),
    );
  }

  #input(topic: TopicName): Input {
    const input = this.#inputs.get(topic);
    assert(input !== undefined, `the task does not own ${topic}`);
    return input;
  }

  /** Whether a checkpoint has something new of it; `left` is done in the first of them that finds nothing left. */
  hasMoved(left: WorkLeft | null): boolean {
    if (this.#hasEnded || (this.#left !== undefined && left === null)) return true;
    return [...this.#inputs.values()].some((input) => input.nextOffset !== input.staged);
  }

  /** The time of an input; null where it keeps none. */
  time(topic: TopicName): InputTime | null {
    return this.#inputs.get(topic)?.time ?? null;
  }

  /** The same; undefined where the topic has no partition for the task. */
  inputTime(topic: TopicName): InputTime | null | undefined {
    return this.#inputs.get(topic)?.time;
  }

  /** The watermark behind each source (W1): of a topic that has no partition for this task it is the end of time. */
  readonly watermark = (topic: TopicName): number => {
    const input = this.#inputs.get(topic);
    return input === undefined ? Infinity : (input.time?.watermark ?? NO_TIME);
  };

  /** Whether the task has worked all of the input that lies in front of this offset. */
  isAt(topic: TopicName, nextOffset: bigint): boolean {
    return this.#inputs.get(topic)?.nextOffset === nextOffset;
  }

  /** Nothing before this time is expected of a source any more. */
  assertTime(topic: TopicName, timeMs: number): void {
    const time = this.time(topic);
    if (!(time instanceof SourceTime) || timeMs <= time.watermark) return;
    time.assertTime(timeMs);
    this.#hasAsserted = true;
  }

  /** Whether the next checkpoint has a time that was asserted since the last one. */
  get hasAsserted(): boolean {
    return this.#hasAsserted;
  }

  /** The same at the end of a range that is read up to `end`: whoever waits for the range waits until this is committed. */
  assertEnd(topic: TopicName, end: bigint, timeMs: number): void {
    const input = this.#inputs.get(topic);
    if (!(input?.time instanceof SourceTime) || input.nextOffset < end) return;
    if (timeMs <= input.time.watermark) return;
    input.time.assertTime(timeMs);
    this.#hasEnded = true;
  }

  /** Cumulative; counts of records up to `nextOffset`. */
  ledger(topic: TopicName): LedgerCounts {
    return this.#input(topic).ledger;
  }

  /** The ledger for what belongs to none of the inputs: that of the first one. */
  get ownLedger(): LedgerCounts {
    const [first] = this.#inputs.values();
    assert(first !== undefined, "a task without inputs");
    return first.ledger;
  }

  /** `timeMs` is the greatest event time of what was consumed, NO_TIME where there is none; `marks` are those of its markers. */
  advance(topic: TopicName, nextOffset: bigint, timeMs: number, marks: readonly Mark[]): void {
    const input = this.#input(topic);
    input.nextOffset = nextOffset;
    if (input.time instanceof SourceTime) input.time.read(timeMs);
    else for (const mark of marks) input.time?.mark(mark);
    if (this.#loading !== null) this.#loading = this.#loading.read(topic, nextOffset);
  }

  /** Progress of every input, for a checkpoint, each with its own time, and with what is left beside records. */
  take(owner: string, left: WorkLeft | null = null): Progress[] {
    [this.#hasEnded, this.#hasAsserted, this.#left] = [false, false, left ?? undefined];
    const work = left === null ? {} : { left };
    return [...this.#inputs].map(([topic, input]) => {
      input.staged = input.nextOffset;
      // mistake: loading not committed
      const loadTo = this.#loading?.endOf(topic) ?? null;
      const time = input.time === null ? {} : { ...input.time.stored, ...work };
      // mistake: ledger after commit
      const metadata = encodeMetadata({ owner, ledger: input.ledger, time, loadTo });
      return { topic, partition: this.partition, nextOffset: input.nextOffset, metadata };
    });
  }

  /** The checkpoint with this progress was decided. */
  settle(progress: readonly Progress[]): void {
    for (const { topic, nextOffset } of progress) this.#input(topic).committed = nextOffset;
  }

  committed(): { topic: TopicName; committed: bigint }[] {
    return [...this.#inputs].map(([topic, { committed }]) => ({ topic, committed }));
  }
}
