// Windows behind an operator: what they take, and that they close, shows the times of its results and the watermark behind it.
import { milliseconds, tumbling, type Stream } from "#engine";
import type { FlowSpec, Node } from "../../case.ts";
import { mod, numberOf, windowed, type Value } from "../../values.ts";
import { operatorIn } from "../case.ts";

export interface Tail {
  readonly sizeMs: number;
  readonly graceMs: number;
}

/** Those of a calendar have times in hours. */
export function tailIn(flow: FlowSpec, { by }: Node): Tail {
  const unitMs = operatorIn(flow)?.node.op === "calendar" ? 1_800_000 : 500;
  return { sizeMs: unitMs * (1 + mod(by, 2)), graceMs: unitMs * mod(Math.floor(by / 2), 2) };
}

type Values = Stream<string | null, Value>;

export function drawTail(stream: Values, node: Node, { sizeMs, graceMs }: Tail): Values {
  const [size, grace] = [milliseconds(sizeMs), milliseconds(graceMs)];
  const sums = stream
    .groupByKey()
    .windowedBy(tumbling({ size, grace }))
    .sum(node.id, numberOf, { emit: "close" });
  return sums.toStream(`${node.id}-rows`, (sum, { start }) => windowed(sum, Number(start)));
}
