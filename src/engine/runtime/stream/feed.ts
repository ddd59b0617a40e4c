// The next work of a task: runs of its inbox as lots, and of each as much as the next checkpoint may hold.
import type { RawRecord } from "../../core/record.ts";
import type { Inbox } from "../../source/inbox.ts";
import { Intake } from "../line/intake.ts";
import type { Learner } from "../line/learn.ts";
import { headOf, type Lot } from "../line/lots.ts";
import type { Rest } from "./keyed/keyed.ts";
import type { StreamTaskOptions } from "./options.ts";

export class Feed {
  /** The part of the lot in hand that a parked key has no room for, and results of its calls. */
  rest: Rest | null = null;
  readonly #intake: Intake;
  readonly #probation: StreamTaskOptions["probation"];
  #units = 0;
  #last: RawRecord | null = null;

  constructor(inbox: Inbox, { bound, probation }: StreamTaskOptions) {
    this.#intake = new Intake(bound, inbox);
    this.#probation = probation;
  }

  /** The rest of the last run, or another run; null when a parked key wants attention first. */
  async next(): Promise<Lot | null> {
    const next = this.rest?.run ?? (await this.#intake.next());
    return next === null ? null : this.#cut(next);
  }

  /** The part of the lot that can be decoded in this same turn; the rest comes next. */
  readable(lot: Lot, learner: Learner): Promise<Lot> {
    return this.#intake.readable(lot, learner);
  }

  #cut(lot: Lot): Lot {
    const { left } = this;
    if (lot.records.length <= left) return lot;
    const [head, rest] = headOf(lot, left);
    this.#intake.putBack(rest);
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
    // mistake: last one blamed (1 of 2)
    return { units, only: units === 1 ? this.#last : null };
  }
}
