// The stream commit: everything that the tasks of a worker made since the last one, in one Kafka transaction.
// Nothing but the steps in their order; when, how often and what after a failure is decided elsewhere.
import type { GroupGeneration, Progress, SentBatch, TxProducer } from "../core/kafka.ts";
import type { OutRecord } from "../core/record.ts";

/** The writes of one task, and how far it read to write them. */
export interface StagedTask {
  readonly outputs: readonly OutRecord[];
  /** Changes of state. */
  readonly changelog: readonly OutRecord[];
  readonly letters: readonly OutRecord[];
  /** The progress of every partition of the task, also of those that did not move: it carries the fence. */
  readonly progress: readonly Progress[];
  /** Captured when the records were read, never looked up here (KIP-447). */
  readonly generation: GroupGeneration;
}

/**
 * 1 begin · 2 send outputs, changelogs and dead letters, and behind them the markers (M2) · 3 add progress of every task that wrote, with its generation ·
 * 4 commit, which is the decision. After any error in 1 to 4 the producer must be thrown away and progress read again:
 * the transaction may have committed. Returns the offsets of the records that were sent.
 */
export async function commit(
  producer: TxProducer,
  tasks: readonly StagedTask[],
  markers: readonly OutRecord[] = [],
): Promise<readonly SentBatch[]> {
  // 1
  producer.begin();
  // 2
  // mistake: commit before flush (1 of 2)
  const sent = await producer.send([
    // mistake: marker before records (1 of 2)
    ...tasks.flatMap(({ outputs, changelog, letters }) => [...outputs, ...changelog, ...letters]),
    // mistake: marker before records (2 of 2)
    ...markers,
  ]);
  // 3
  for (const [generation, progress] of byGroup(tasks))
    // mistake: generation ignored
    await producer.sendOffsets(progress, generation);
  // 4
  await producer.commit();
  // mistake: commit before flush (2 of 2)
  return sent;
}

/** The progress by group and generation: each takes one request. */
function byGroup(tasks: readonly StagedTask[]): [GroupGeneration, Progress[]][] {
  const groups = Map.groupBy(tasks, ({ generation: { group, generationId, memberId } }) =>
    [group, generationId, memberId].join(" "),
  );
  return [...groups.values()].map((own) => [
    (own[0] as StagedTask).generation,
    own.flatMap(({ progress }) => progress),
  ]);
}
