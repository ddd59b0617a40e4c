// The contents of the source partitions of a graph, drawn from a seed.
import type { Draw } from "../simulation/case.ts";
import type { Graph } from "./graph.ts";

/** A record of a source partition. */
export interface Content {
  readonly key: string;
  readonly t: number;
  readonly n: number;
}
/** Source topic, partition, offset. */
export type Contents = readonly (readonly (readonly Content[])[])[];

const FAR = 200;

export function drawContents(draw: Draw, { nodes, partitions, times }: Graph): Contents {
  const { startMs, unitMs } = times;
  const isEnded = draw.chance(0.75);
  let made = 0;
  return nodes.flatMap((node, i) => {
    if (node.kind !== "source") return [];
    return [
      Array.from({ length: partitions[i] ?? 1 }, () => {
        const contents: Content[] = [];
        let base = draw.below(10);
        const content = (units: number): Content => ({
          key: `k${String(draw.below(3))}`,
          t: startMs + units * unitMs,
          n: 1 + ((made++ * 7_919) % 100_003),
        });
        // Time of a partition without records stands still, and so does all behind it.
        const count = draw.chance(0.03) ? 0 : draw.between(1, 9);
        for (let at = 0; at < count; at++) {
          base += draw.pick([0, 0, 1, 1, 2, 4, 9]);
          contents.push(content(Math.max(0, base - draw.pick([0, 0, 0, 1, 2, 5, 12]))));
        }
        return isEnded && count > 0 ? [...contents, content(base + FAR)] : contents;
      }),
    ];
  });
}
