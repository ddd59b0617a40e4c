// When the operators of a case have come to rest: nothing is left that must fire yet.
import type { Plan } from "../../../../src/engine/core/plan.ts";
import type { RawRecord, TopicName } from "../../../../src/engine/core/record.ts";
import type { SimulationCase } from "../case.ts";
import { entriesDue } from "../timers.ts";
import { lastWatermarks } from "../windows.ts";
import { operatorIn, TAIL } from "./case.ts";
import { delayMsIn } from "./delays.ts";

/** Whether something waits that time has passed. */
export function areOperatorsOpen(
  of: SimulationCase,
  plan: Plan,
  entriesOf: (topic: TopicName) => readonly RawRecord[],
): boolean {
  const operator = operatorIn(of.flow);
  if (operator === null) return false;
  const { node, isGrouped } = operator;
  const last = lastWatermarks(of, isGrouped);
  const isOpen = (store: string, delayMs: number): boolean =>
    entriesDue(plan, store, entriesOf).some(
      ({ partition, dueMs }) => dueMs < (last[partition] ?? -Infinity) - delayMs,
    );
  const { id } = node;
  const own = [id, `${id}-timers`, `${id}-order`];
  // A timer by the wall clock fires at its time, whatever the watermark is.
  if (entriesDue(plan, `${id}-wall-timers`, entriesOf).length > 0) return true;
  return own.some((store) => isOpen(store, 0)) || isOpen(`${id}-${TAIL}`, delayMsIn(node));
}
