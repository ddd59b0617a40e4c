// The lots that a task takes from its inbox, one after another, each as far as its values can be read.
import type { Inbox } from "../../source/inbox.ts";
import type { BoundPart } from "./bind.ts";
import { learn, mustWait, type Learner } from "./learn.ts";
import { lotsOf, type Lot } from "./lots.ts";

export class Intake {
  readonly #bound: BoundPart;
  readonly #inbox: Inbox;
  /** Taken from the inbox and not begun. */
  #lots: Lot[] = [];

  constructor(bound: BoundPart, inbox: Inbox) {
    this.#bound = bound;
    this.#inbox = inbox;
  }

  get isEmpty(): boolean {
    return this.#lots.length === 0 && this.#inbox.isEmpty;
  }

  /** Null when the inbox was closed, or something else wants attention first. */
  async next(): Promise<Lot | null> {
    const left = this.#lots.shift();
    if (left !== undefined) return left;
    const run = await this.#inbox.take();
    if (run === null) return null;
    const [first = null, ...others] = lotsOf(run, this.#bound);
    this.#lots = others;
    return first;
  }

  /** Comes next. */
  putBack(...lots: readonly Lot[]): void {
    this.#lots.unshift(...lots);
  }

  /** The part of the lot that can be decoded at once, after any wait; the rest comes next. */
  async readable(lot: Lot, learner: Learner): Promise<Lot> {
    const [first, ...later] = await learn(this.#bound, lot, learner);
    this.putBack(...later);
    return first;
  }

  /** Puts the lot back if it must be waited for. */
  defers(lot: Lot): boolean {
    const isWaiting = mustWait(this.#bound, lot);
    if (isWaiting) this.putBack(lot);
    return isWaiting;
  }
}
