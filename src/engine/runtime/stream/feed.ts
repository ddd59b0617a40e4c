// What a task works on next: runs of its inbox as lots, and of each as much as the next checkpoint may hold.
import type { RawRecord } from "../../core/record.ts";
import type { TaskInbox } from "../../source/bounded-inbox.ts";
import type { BoundPart } from "../line/bind.ts";
import { headOf, lotsOf, type Lot } from "../line/lots.ts";
import type { Rest } from "./keyed.ts";
import type { StreamTaskOptions } from "./options.ts";

export class Feed {
  /** Of the lot in hand what a parked key has no room for, and what its calls have come to. */
  rest: Rest | null = null;
  readonly #inbox: TaskInbox;
  readonly #bound: BoundPart;
  readonly #probation: StreamTaskOptions["probation"];
  /** What has been taken from the inbox and not begun. */
  #lots: Lot[] = [];
  #units = 0;
  #last: RawRecord | null = null;

  constructor(inbox: TaskInbox, { bound, probation }: StreamTaskOptions) {
    this.#inbox = inbox;
    this.#bound = bound;
    this.#probation = probation;
  }

  /** What is left of the last run, or another one; null when a parked key wants attention first. */
  async next(): Promise<Lot | null> {
    const left = this.rest?.run ?? this.#lots.shift();
    if (left !== undefined) return this.#cut(left);
    const run = await this.#inbox.take();
    if (run === null) return null;
    const [first = null, ...others] = lotsOf(run, this.#bound);
    this.#lots = others;
    return first === null ? null : this.#cut(first);
  }

  #cut(lot: Lot): Lot {
    const { left } = this;
    if (lot.records.length <= left) return lot;
    const [head, rest] = headOf(lot, left);
    this.#lots.unshift(rest);
    return head;
  }

  /** Records that the checkpoint which is being filled may still take. */
  get left(): number {
    const most = this.#probation()?.recordsMax ?? null;
    return most === null ? Infinity : Math.max(0, most - this.#units);
  }

  /** Counts what has changed anything since the last checkpoint; null stands for a change that no record has made. */
  count(records: readonly (RawRecord | null)[], many: number = records.length): void {
    if (many === 0) return;
    this.#units += many;
    this.#last = records[many - 1] ?? null;
  }

  /** How many were counted for this checkpoint, and which one where it is a single one. */
  takeCount(): { readonly units: number; readonly only: RawRecord | null } {
    const units = this.#units;
    this.#units = 0;
    return { units, only: units === 1 ? this.#last : null };
  }
}
