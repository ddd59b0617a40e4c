// The changes of a table, of which the last within a span goes on; sums may be deleted.
import { json, milliseconds, records, type Stream } from "#engine";
import type { Node } from "../case.ts";
import { mod, numberOf, wrapped, type Value } from "../values.ts";

export interface Suppressed {
  readonly spanMs: number;
  /** Keys that wait in a task at most: of one more, the oldest span is over. */
  readonly keysMax: number;
}

export const suppressedIn = ({ by }: Node): Suppressed => ({
  spanMs: [750, 2_000, 4_500][mod(by, 3)] ?? 750,
  keysMax: [1, 2, 100][mod(Math.floor(by / 3), 3)] ?? 100,
});

/** The next sum of a key; null deletes it. */
export function summed(sum: number | null, value: Value): number | null {
  const next = (sum ?? 0) + numberOf(value);
  return mod(next, 4) === 0 ? null : next;
}

type Values = Stream<string | null, Value>;

export function drawSuppressed(stream: Values, node: Node): Values {
  const { spanMs, keysMax } = suppressedIn(node);
  const sums = stream.groupByKey().aggregate(`${node.id}-sums`, {
    value: json<number>(),
    init: () => 0,
    add: (sum: number, value) => summed(sum, value),
  });
  const options = { for: milliseconds(spanMs), recordsMax: records(keysMax) };
  return sums
    .suppress(node.id, { ...options, whenFull: "emit" })
    .toStream()
    .map(`${node.id}-wrapped`, wrapped);
}
