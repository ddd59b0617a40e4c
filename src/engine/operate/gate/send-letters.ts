// Sends the outboxes of tables while nobody is at work: letters, and states of letters, that were committed with rows and
// not sent yet. Sent twice they are one. Exact once the groups are empty.
import type { Part, Plan, PlanTable } from "../../core/plan.ts";
import { publishLetters } from "../../letters/publish.ts";
import type { OperatePorts } from "../choice.ts";

const LETTERS_A_SEND = 500;

/** Sends for the tasks of these parts, those of the redrive topic among them. */
export async function sendLetters(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<void> {
  const producer = ports.kafka.producer();
  try {
    for (const { name, sources, partitions, table } of parts) {
      if (table === null) continue;
      const store = ports.tableStore(table satisfies PlanTable);
      for (const topic of [...sources.map((source) => source.name), plan.redrive])
        for (let partition = 0; partition < partitions; partition++) {
          const task = { pipeline: plan.pipeline, part: name, topic, partition };
          for (;;) {
            const letters = await store.pendingLetters(task, LETTERS_A_SEND);
            if (letters.length === 0) break;
            const { ids, stuck } = await publishLetters(producer, letters);
            await store.forget(task, ids);
            if (stuck !== null) throw stuck;
          }
        }
    }
  } finally {
    await producer.close();
  }
}
