// The cursor of a program under the watch over records that keep the event loop for long (core/loop-memory.ts).
import { NO_PLACE, WORD, type StepWatch } from "../core/loop-memory.ts";
import type { DecodedRecord, Stage } from "../core/outcome.ts";
import type { RawRecord } from "../core/record.ts";
import {
  newTrail,
  type Cursor,
  type GroupQueues,
  type KeptResult,
  type Trail,
} from "./operator.ts";

/** The step while a record is being decoded. */
const DECODING = -1;

/** Each operator says its place before it begins, and the ticks are compared there. */
export class WatchedCursor implements Cursor {
  record: DecodedRecord = null as never;
  stage: Stage = null as never;
  trail: Trail = newTrail(0, null, 1);
  queues: GroupQueues | null = null;
  kept: KeptResult[] | null = null;
  readonly #names: readonly string[];
  readonly #words: Int32Array;
  readonly #offset: BigInt64Array;
  /** The place of the first operator. */
  readonly #first: number;
  readonly #watch: StepWatch;
  #step = 0;
  #tick = 0;
  /** The record in whose time the ticks moved last, and its time so far. */
  #raw: RawRecord | null = null;
  #spent = 0;
  #longest = 0;
  #slowest = DECODING;

  constructor(names: readonly string[], watch: StepWatch) {
    this.#names = names;
    this.#words = watch.memory.words;
    this.#offset = watch.memory.offset;
    this.#first = watch.firstPlace + 1;
    this.#watch = watch;
  }

  get step(): number {
    return this.#step;
  }
  set step(at: number) {
    if (this.#words[WORD.ticks] !== this.#tick) this.#stepMoved();
    this.#step = at;
    this.#words[WORD.place] = this.#first + at;
  }

  /** The time before it was that of no record: a wait, or the work of others. */
  begin(): void {
    this.#tick = this.#words[WORD.ticks] as number;
  }

  /** The record is read now. */
  decoding(raw: RawRecord): void {
    this.#says(raw);
    this.#words[WORD.place] = this.#first + DECODING;
  }

  /** The time since the last look was for decoding this one. */
  decoded(raw: RawRecord): void {
    this.#words[WORD.place] = NO_PLACE;
    if (this.#words[WORD.ticks] !== this.#tick) this.#moved(DECODING, raw);
  }

  /** The record is on its way now. */
  takes(record: DecodedRecord, trail: Trail): void {
    this.record = record;
    this.trail = trail;
    this.#says(record.raw);
  }

  /** The record is over, or goes on later. */
  passed(): void {
    this.#words[WORD.place] = NO_PLACE;
    if (this.#words[WORD.ticks] !== this.#tick) this.#stepMoved();
  }

  #says({ partition, offset }: RawRecord): void {
    this.#words[WORD.partition] = partition;
    this.#offset[0] = offset;
  }

  #stepMoved(): void {
    this.#moved(this.#step, this.record.raw);
  }

  #moved(step: number, raw: RawRecord): void {
    if (raw !== this.#raw) [this.#raw, this.#spent, this.#longest] = [raw, 0, 0];
    const { ticksMax } = this.#watch;
    // The counter goes around.
    const ticks = ((this.#words[WORD.ticks] as number) - this.#tick) | 0;
    this.begin();
    if (ticks > this.#longest) [this.#longest, this.#slowest] = [ticks, step];
    const wasSlow = this.#spent >= ticksMax;
    this.#spent += ticks;
    if (wasSlow || this.#spent < ticksMax) return;
    this.#watch.slow(this.#names[this.#slowest] ?? null, raw, this.#spent);
  }
}
