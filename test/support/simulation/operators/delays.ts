// How far the watermark behind an operator stays behind the one in front of it, by the table of rules.
import type { Node } from "../case.ts";
import { graceMsIn } from "./windows/calendar.ts";
import { boundedDelayMs } from "./windows/bounded.ts";
import { countedIn } from "./windows/counted.ts";
import { orderMsIn } from "./handlers.ts";
import { slidesIn } from "./windows/slides.ts";
import { suppressedIn } from "./suppressed.ts";

export function delayMsIn(node: Node): number {
  if (node.op === "slides") return slidesIn(node).graceMs;
  if (node.op === "calendar") return graceMsIn(node);
  if (node.op === "bounded") return boundedDelayMs(node);
  if (node.op === "suppressed") return suppressedIn(node).spanMs;
  return (node.op === "counted" ? countedIn(node).orderMs : orderMsIn(node)) ?? 0;
}
