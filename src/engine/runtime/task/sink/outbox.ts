// The letters of a sink task go out after the decision: one sent before it could turn out false, as a retry may pass.
import { publishLetters } from "../../../letters/publish.ts";
import { whyOf } from "../../failure.ts";
import type { SinkCommitterOptions } from "./committer.ts";
import type { Task } from "../task.ts";

const LETTERS_A_SEND = 500;
/** A letter that was refused as pointer and hash is sent again after this. */
const STUCK_MS = 5_000;

/** Resolves when the outbox has nothing more of the task. */
export async function sendPending(
  task: Task,
  { context, store, producer }: Pick<SinkCommitterOptions, "context" | "store" | "producer">,
): Promise<void> {
  const { address: id, signal } = task;
  for (;;) {
    const pending = await task.persist("postgres", () => store.pendingLetters(id, LETTERS_A_SEND));
    if (pending.length === 0) return;
    const { ids, stuck } = await task.persist("kafka", () => publishLetters(producer, pending));
    await task.persist("postgres", () => store.forget(id, ids));
    if (stuck === null) continue;
    // The next letter would be refused as this one is.
    task.waitingFor = whyOf(stuck);
    context.log.error(
      { ...id, why: task.waitingFor },
      "the task is paused: its letters are refused",
    );
    await context.clock.sleep(STUCK_MS, signal);
    task.waitingFor = null;
  }
}
