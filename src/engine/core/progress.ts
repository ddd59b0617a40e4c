// The decided progress of every task of a plan, with what is stored beside it: a stream task's in the offsets of its group,
// a sink task's in its progress row. Ledgers, lag, resets and promotions all read it here.
import type { AdminPort } from "./kafka.ts";
import { sumLedgers, type LedgerCounts } from "./ledger.ts";
import { decodeMetadata } from "./task-inputs.ts";
import type { Part, Plan, PlanTable } from "./plan.ts";
import type { TableStore } from "./ports.ts";
import { taskKey, type TaskAt, type TopicPartition } from "./record.ts";

export interface TaskProgress extends TaskAt {
  readonly pipeline: string;
  /** Null when the task has never run. */
  readonly nextOffset: bigint | null;
  readonly ledger: LedgerCounts | null;
  /** The metadata of a stream task, as committed beside the offset: owner, ledger and time. */
  readonly metadata: string | null;
  /** The number of a sink task's owner. */
  readonly epoch: bigint | null;
}

export interface ProgressPorts {
  readonly admin: Pick<AdminPort, "committed">;
  tableStore(table: PlanTable): TableStore;
}

/** The progress of each part, topic and partition, in their order. */
export async function readProgress(plan: Plan, ports: ProgressPorts): Promise<TaskProgress[]> {
  const parts = await Promise.all(
    plan.parts.map(({ table, ...part }) =>
      table === null
        ? streamProgress(plan, part, ports)
        : sinkProgress(plan, part, ports.tableStore(table)),
    ),
  );
  return parts.flat();
}

/** Progress of every task in the redrive topic. */
export const readRedriveProgress = (plan: Plan, ports: ProgressPorts): Promise<TaskProgress[]> =>
  readProgress({ ...plan, parts: plan.parts.map((part) => readingRedrive(plan, part)) }, ports);

/** The part as if it read nothing but the topic that brings letters back. */
export function readingRedrive({ redrive: name }: Plan, part: Part): Part {
  const [source] = part.sources as [Part["sources"][0]];
  return { ...part, sources: [{ ...source, name, partitions: part.partitions }] };
}

/** The next offset of every task that has run, by `taskKey`. */
export async function readPositions(
  plan: Plan,
  ports: ProgressPorts,
): Promise<ReadonlyMap<string, bigint>> {
  const begun = (await readProgress(plan, ports)).flatMap(({ nextOffset, ...at }) =>
    nextOffset === null ? [] : [[taskKey(at), nextOffset] as const],
  );
  return new Map(begun);
}

/** The sum over the tasks of one part; zeros when none has run. */
export const ledgerOfPart = (progress: readonly TaskProgress[], part: string): LedgerCounts =>
  sumLedgers(progress.filter((task) => task.part === part).flatMap((task) => task.ledger ?? []));

/** Parts that nobody works on now: their groups have no members. */
export async function idleParts(
  parts: readonly Part[],
  admin: Pick<AdminPort, "describeGroup">,
): Promise<readonly Part[]> {
  const groups = await Promise.all(parts.map(({ group }) => admin.describeGroup(group)));
  return parts.filter((_, i) => groups[i]?.members.length === 0);
}

type ReadPart = Pick<Part, "name" | "group" | "sources">;

const partitionsOf = ({ sources }: ReadPart): TopicPartition[] =>
  sources.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  );

async function streamProgress(
  { pipeline }: Plan,
  part: ReadPart,
  { admin }: ProgressPorts,
): Promise<TaskProgress[]> {
  const committed = await admin.committed(part.group, partitionsOf(part), { stable: true });
  return committed.map(({ topic, partition, nextOffset, metadata }) => {
    const at = { pipeline, part: part.name, topic, partition };
    const ledger = decodeMetadata(metadata)?.ledger ?? null;
    return { ...at, nextOffset, ledger, metadata, epoch: null };
  });
}

const sinkProgress = (
  { pipeline }: Plan,
  part: ReadPart,
  store: TableStore,
): Promise<TaskProgress[]> =>
  Promise.all(
    partitionsOf(part).map(async (at) => {
      const task = { pipeline, part: part.name, ...at };
      const { nextOffset = null, ledger = null, epoch = null } = (await store.progress(task)) ?? {};
      return { ...task, nextOffset, ledger, metadata: null, epoch };
    }),
  );
