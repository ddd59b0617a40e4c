// The operators of a case as a pipeline has them.
import type { Stream, Topic } from "#engine";
import type { FlowSpec, Node } from "../case.ts";
import type { Value } from "../values.ts";
import { drawBounded } from "./windows/bounded.ts";
import { drawCalendar } from "./windows/calendar.ts";
import { lateNode, TAIL } from "./case.ts";
import { drawCounted } from "./windows/counted.ts";
import { drawHandlers, drawWall, type WallClock } from "./handlers.ts";
import { drawSlides } from "./windows/slides.ts";
import { drawSuppressed } from "./suppressed.ts";
import { drawTail, tailIn } from "./windows/tail.ts";

type Values = Stream<string | null, Value>;

/** What a step of a case needs beside its node. */
export interface Means {
  readonly flow: FlowSpec;
  readonly wall: WallClock;
  outputOf(node: Node): Topic<string | null, Value>;
}

/** Its results; what is late goes to a topic, or is counted only. */
export function drawOperator(stream: Values, node: Node, { flow, wall, outputOf }: Means): Values {
  if (node.op === TAIL) return drawTail(stream, node, tailIn(flow, node));
  if (node.op === "process" || node.op === "ordered") return drawHandlers(stream, node);
  if (node.op === "wall") return drawWall(stream, node, wall);
  if (node.op === "suppressed") return drawSuppressed(stream, node);
  const { results, late } = drawWindows(stream, node);
  const own = lateNode(node);
  if (own !== null) late.to(outputOf(own));
  return results;
}

function drawWindows(stream: Values, node: Node): { results: Values; late: Values } {
  if (node.op === "slides") return drawSlides(stream, node);
  if (node.op === "bounded") return drawBounded(stream, node);
  return node.op === "calendar" ? drawCalendar(stream, node) : drawCounted(stream, node);
}
