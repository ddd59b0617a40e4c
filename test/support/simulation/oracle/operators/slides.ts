// Sliding windows as the rules have them: sets of records. A window [e - difference, e] is there if it ends with a record that it
// takes, or begins right behind one and takes a record; it takes those in it whose origin time is at most e + grace. It is closed
// once the watermark is beyond that.
import { slidesIn } from "../../operators/windows/slides.ts";
import type { Node } from "../../case.ts";
import { numberOf, windowed } from "../../values.ts";
import type { Trail } from "../way.ts";
import type { KeyedItem, OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

export class SlidesOracle implements OperatorOracle {
  readonly #node: Node;
  readonly #items = new Map<string, KeyedItem[]>();

  constructor(node: Node) {
    this.#node = node;
  }

  /** Late: the window that ends with it is closed. It may have a part in those that end behind it. */
  take(item: KeyedItem, trail: Trail): boolean {
    const { differenceMs, graceMs } = slidesIn(this.#node);
    const { key, timeMs, originMs } = item;
    if (originMs <= timeMs + differenceMs + graceMs) {
      trail.emitted++;
      trail.writes.push(() => this.#items.set(key, [...(this.#items.get(key) ?? []), item]));
    }
    return originMs > timeMs + graceMs;
  }

  *close(watermarks: readonly number[]): Iterable<Result> {
    const { differenceMs, graceMs } = slidesIn(this.#node);
    for (const [key, items] of this.#items) {
      const ends = items.flatMap(({ timeMs, originMs }) => {
        const behind = timeMs + 1 + differenceMs;
        return originMs <= timeMs + graceMs ? [timeMs, behind] : [behind];
      });
      for (const end of [...new Set(ends)].sort((a, b) => a - b)) {
        const start = end - differenceMs;
        const own = items.filter(
          ({ timeMs, originMs }) => timeMs >= start && timeMs <= end && originMs <= end + graceMs,
        );
        const [first] = own;
        if (first === undefined) continue;
        const { partition } = first;
        if (end + graceMs >= (watermarks[partition] ?? -Infinity)) continue;
        const sum = own.reduce((all, { value }) => all + numberOf(value), 0);
        yield { key, partition, value: windowed(sum, start), timeMs: end, originMs: end };
      }
    }
  }
}
