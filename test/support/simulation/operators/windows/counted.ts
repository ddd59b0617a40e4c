// Windows of so many records of a key, as they come or in the order of their times.
import { countWindow, milliseconds, records, type Stream } from "#engine";
import type { Node } from "../../case.ts";
import { mod, numberOf, type Value } from "../../values.ts";

export interface Counted {
  readonly size: number;
  /** Null: as they come. */
  readonly orderMs: number | null;
  readonly emit: "update" | "close";
}

export const countedIn = ({ by }: Node): Counted => ({
  size: 2 + mod(by, 3),
  orderMs: [null, 0, 750, 2_500][mod(Math.floor(by / 2), 4)] ?? null,
  emit: mod(by, 5) === 0 ? "update" : "close",
});

/** Both ends show. */
export const counted = (n: number, startMs: number, endMs: number): Value => ({
  ...{ i: "", n, g: `w${String(startMs)}`, v: endMs - startMs },
});

type Values = Stream<string | null, Value>;

/** The sums of its windows, when they are full, and what is late. */
export function drawCounted(stream: Values, node: Node): { results: Values; late: Values } {
  const { size, orderMs, emit } = countedIn(node);
  const order = orderMs === null ? {} : { order: { grace: milliseconds(orderMs) } };
  const sums = stream
    .groupByKey()
    .windowedBy(countWindow({ size: records(size), ...order }))
    .sum(node.id, numberOf, { emit });
  const results = sums.toStream(`${node.id}-rows`, (sum, { start, end }) =>
    counted(sum, Number(start), Number(end)),
  );
  return { results, late: sums.late };
}
