// Sliding windows of a case: around records that are at most so far apart.
import { milliseconds, sliding, type Stream } from "#engine";
import type { Node } from "../../case.ts";
import { mod, numberOf, windowed, type Value } from "../../values.ts";

export interface Slides {
  readonly differenceMs: number;
  readonly graceMs: number;
}

export const slidesIn = ({ by }: Node): Slides => ({
  differenceMs: [750, 1_500, 250][mod(by, 3)] ?? 750,
  graceMs: [0, 750, 2_500][mod(Math.floor(by / 3), 3)] ?? 0,
});

type Values = Stream<string | null, Value>;

/** The sums of its windows, when they close, and what is late. */
export function drawSlides(stream: Values, node: Node): { results: Values; late: Values } {
  const { differenceMs, graceMs } = slidesIn(node);
  const [difference, grace] = [milliseconds(differenceMs), milliseconds(graceMs)];
  const sums = stream
    .groupByKey()
    .windowedBy(sliding({ difference, grace }))
    .sum(node.id, numberOf, { emit: "close" });
  const results = sums.toStream(`${node.id}-rows`, (sum, { start }) =>
    windowed(sum, Number(start)),
  );
  return { results, late: sums.late };
}
