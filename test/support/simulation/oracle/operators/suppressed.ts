// A table's changes, and what a suppress keeps of them, as the oracle has them: before each record what time has passed goes on,
// in the order of due and key.
import { summed, suppressedIn } from "../../operators/suppressed.ts";
import type { Node } from "../../case.ts";
import { wrapped } from "../../values.ts";
import type { Trail } from "../way.ts";
import type { KeyedItem, OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

interface Sum {
  readonly n: number | null;
  readonly timeMs: number;
}
interface Waiting {
  readonly dueMs: number;
  readonly result: Result;
}

const bySpan = ([k, a]: [string, Waiting], [l, b]: [string, Waiting]): number =>
  a.dueMs - b.dueMs || (k < l ? -1 : 1);

export class SuppressedOracle implements OperatorOracle {
  readonly isInOrder = true;
  readonly #node: Node;
  readonly #sums = new Map<string, Sum>();
  /** By partition and key. */
  readonly #waiting = new Map<number, Map<string, Waiting>>();
  readonly #made: Result[] = [];

  constructor(node: Node) {
    this.#node = node;
  }

  take(item: KeyedItem, trail: Trail): boolean {
    // What a failed record makes due goes on before the next one all the same.
    trail.writes.push(() => {
      this.#letGo(item.partition, item.movedMs);
      if (this.#change(item)) trail.emitted++;
    });
    return false;
  }

  #change({ key, partition, value, timeMs, originMs }: KeyedItem): boolean {
    const before = this.#sums.get(key);
    const n = summed(before?.n ?? null, value);
    if (n === null && (before?.n ?? null) === null) return false;
    // Results of a key never go back in time.
    const newest = Math.max(timeMs, before?.timeMs ?? -Infinity);
    this.#sums.set(key, { n, timeMs: newest });
    const made = n === null ? undefined : wrapped(n);
    this.#keep({
      ...{ key, partition, value: made, timeMs: newest },
      originMs: Math.max(originMs, newest),
    });
    return true;
  }

  #keep(result: Result): void {
    const { spanMs, keysMax } = suppressedIn(this.#node);
    const own = this.#waiting.get(result.partition) ?? new Map<string, Waiting>();
    this.#waiting.set(result.partition, own);
    const before = own.get(result.key);
    own.set(result.key, { dueMs: before?.dueMs ?? result.timeMs + spanMs, result });
    if (own.size > keysMax) this.#release([...own].sort(bySpan).slice(0, 1), own);
  }

  #letGo(partition: number, nowMs: number): void {
    const own = this.#waiting.get(partition) ?? new Map<string, Waiting>();
    const over = [...own].filter(([, { dueMs }]) => dueMs <= nowMs);
    this.#release(over.sort(bySpan), own);
  }

  #release(all: readonly (readonly [string, Waiting])[], own: Map<string, Waiting>): void {
    for (const [key, { result }] of all) {
      own.delete(key);
      this.#made.push(result);
    }
  }

  close(watermarks: readonly number[]): Iterable<Result> {
    for (const partition of this.#waiting.keys())
      this.#letGo(partition, watermarks[partition] ?? -Infinity);
    return this.#made;
  }
}
