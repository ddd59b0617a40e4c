// Finds an event loop that does not turn, and names its work in hand.
import { NO_PLACE, WORD, type LoopMemory } from "../../core/loop-memory.ts";
import type { Log, LogFacts } from "../../core/ports.ts";
import { TICK_MS, type PlacedSteps } from "./loop-port.ts";

/** A loop that does not turn is named again after so many times the span. */
const AGAIN_FACTOR = 10;

export class LoopGuard {
  readonly #memory: LoopMemory;
  readonly #slowTicks: number;
  readonly #log: Pick<Log, "warn">;
  readonly #parts: PlacedSteps[] = [];
  #turns = 0;
  /** Looks since the loop has turned. */
  #still = 0;
  #sayAt: number;

  constructor(memory: LoopMemory, slowMs: number, log: Pick<Log, "warn">) {
    this.#memory = memory;
    this.#slowTicks = this.#sayAt = Math.ceil(slowMs / TICK_MS);
    this.#log = log;
  }

  named(steps: PlacedSteps): void {
    this.#parts.push(steps);
  }

  /** Called once a tick. */
  look(): void {
    const turns = this.#memory.words[WORD.turns] as number;
    if (turns !== this.#turns) {
      [this.#turns, this.#still, this.#sayAt] = [turns, 0, this.#slowTicks];
      return;
    }
    if (++this.#still < this.#sayAt) return;
    this.#sayAt *= AGAIN_FACTOR;
    this.#say(this.#still * TICK_MS);
  }

  #say(ms: number): void {
    const work = this.#workInHand();
    const of = work === null ? "" : ": an operator has not come to its end";
    this.#log.warn(
      { ...work, ms },
      `the event loop does not turn, and all of the worker waits${of}`,
    );
  }

  /** Null outside of the steps: a callback that goes on after its first wait, a large batch, memory that is being cleared. */
  #workInHand(): LogFacts | null {
    const { words, offset } = this.#memory;
    const place = words[WORD.place] as number;
    const steps = this.#parts.findLast(({ first }) => first <= place);
    if (place === NO_PLACE || steps === undefined) return null;
    const { pipeline, part, operators, first } = steps;
    const operator = operators[place - first] ?? null;
    const at = { partition: words[WORD.partition], offset: String(offset[0]) };
    return { pipeline, part, operator, ...at };
  }
}
