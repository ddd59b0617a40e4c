// Asks workers to look again at tasks that have stopped, and waits for the outcome. The wish is a note in Kafka;
// the worker that has the task takes it over anew, and its takeover decides.
import { sendOnce } from "../../core/send-once.ts";
import type { Plan } from "../../core/plan.ts";
import { idleParts } from "../../core/progress.ts";
import { NoteTail, noteRecord } from "../../notes/notes.ts";
import { resumeKey, resumeText, stopNote, type StopNote } from "../../notes/stop-notes.ts";
import type { OperatePorts } from "../choice.ts";
import type { StoppedTask } from "./stopped-tasks.ts";

/**
 * asked: nobody waited · running: it goes on · stopped: it was looked at and has stopped again · unanswered: no word in time ·
 * no-worker: its group has no members, so the next start looks again by itself.
 */
type ResumeOutcome = "asked" | "running" | "stopped" | "unanswered" | "no-worker";

export interface Resumed {
  readonly task: StoppedTask;
  readonly outcome: ResumeOutcome;
  /** Why it has stopped again. */
  readonly again: StopNote | null;
}

const LOOK_MS = 500;

/** Returns one answer per task, in their order; `waitMs` 0 asks and does not wait. */
export async function resume(
  plan: Plan,
  tasks: readonly StoppedTask[],
  { ports, waitMs }: { readonly ports: OperatePorts; readonly waitMs: number },
): Promise<readonly Resumed[]> {
  const parts = plan.parts.filter(({ name }) => tasks.some(({ part }) => part === name));
  const idle = new Set((await idleParts(parts, ports.admin)).map(({ name }) => name));
  const asked = tasks.filter(({ part }) => !idle.has(part));
  const wishes = asked.map((task) => noteRecord(plan.meta, resumeKey(task), resumeText(task)));
  await sendOnce(ports.kafka, wishes);
  const found = waitMs === 0 ? new Map() : await answers(plan, asked, ports, waitMs);
  const otherwise = waitMs === 0 ? "asked" : "unanswered";
  return tasks.map((task): Resumed => {
    if (idle.has(task.part)) return { task, outcome: "no-worker", again: null };
    return found.get(task) ?? { task, outcome: otherwise, again: null };
  });
}

/** The outcomes of the tasks that were answered in time. */
async function answers(
  { meta }: Plan,
  tasks: readonly StoppedTask[],
  ports: OperatePorts,
  waitMs: number,
): Promise<ReadonlyMap<StoppedTask, Resumed>> {
  const { clock } = ports;
  const tail = new NoteTail(ports, meta);
  const found = new Map<StoppedTask, Resumed>();
  for (
    const until = clock.monotonic() + waitMs;
    found.size < tasks.length && clock.monotonic() < until;
  ) {
    await clock.sleep(LOOK_MS);
    const notes = await tail.look();
    for (const task of tasks) {
      const again = stopNote(notes, task);
      const isSame = again?.owner === task.owner && again.atMs === task.atMs;
      if (isSame || found.has(task)) continue;
      found.set(task, { task, outcome: again === null ? "running" : "stopped", again });
    }
  }
  return found;
}
