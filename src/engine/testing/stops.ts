// The reasons why tasks of a simulation stopped, as the error that it throws.
import { entryOf } from "../core/error-table.ts";
import { MillraceError } from "../core/errors.ts";
import { addressOf } from "../core/record.ts";
import type { TaskHealth } from "../observe/health.ts";

export type TaskStop = Extract<TaskHealth, { readonly state: "stopped" }>;

/** Throws with the code of the first, and all of them in its text. */
export function checkStops(stops: readonly TaskStop[]): void {
  const [first] = stops;
  if (first === undefined) return;
  const { code, part, topic, partition } = first;
  const said = `${entryOf(code).message}: `;
  const texts = stops.map((task) => {
    const why = task.message.replace(said, "");
    return `${task.part} ${addressOf(task)}: ${why}`;
  });
  const detail = `${texts.join("; ")}; where the test expects it: stops: "expected"`;
  throw new MillraceError(code, detail, { where: { part, topic, partition } });
}
