// Which tasks of a pipeline have stopped, by what their workers have noted.
import type { Part, Plan } from "../../core/plan.ts";
import type { TaskAt } from "../../core/record.ts";
import type { Notes } from "../../notes/notes.ts";
import { stopNotes, type StopNote } from "../../notes/stop-notes.ts";
import { isChosen, missingPlace, partsNamed, type TaskChoice } from "../choice.ts";

export type StoppedTask = StopNote & TaskAt;

/** In the order of parts, topics and partitions. Throws for a part, topic or partition that there is not. */
export function stoppedTasks(plan: Plan, notes: Notes, choice: TaskChoice): readonly StoppedTask[] {
  const parts = partsNamed(plan, choice.part);
  // A note of a part that a changed pipeline no longer has is nobody's.
  const places = parts.flatMap((part) =>
    [...part.sources.map(({ name }) => name), plan.redrive].map((name) => `${part.name}/${name}`),
  );
  const placeOf = ({ part, topic }: TaskAt): number => places.indexOf(`${part}/${topic}`);
  const found = stopNotes(notes)
    .filter((task) => placeOf(task) >= 0 && isChosen(task, choice))
    .sort((a, b) => placeOf(a) - placeOf(b) || a.partition - b.partition);
  if (found.length === 0) checkChoice(parts, choice);
  return found;
}

function checkChoice(parts: readonly Part[], { topic, partition }: TaskChoice): void {
  const sources = parts.flatMap((part) => part.sources);
  const isThere = sources.some(
    ({ name, partitions }) =>
      (topic === null || name === topic) && (partition === null || partition < partitions),
  );
  if (!isThere) throw missingPlace(sources.map(({ name }) => name));
}
