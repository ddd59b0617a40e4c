// Where every task of a pipeline is and where its topics begin and end: the ground on which offsets are shown and reset.
import type { Watermarks } from "../core/kafka.ts";
import { decodeMetadata } from "../core/metadata.ts";
import type { Part, Plan, PlanTable } from "../core/plan.ts";
import { addressOf, type TopicName, type TopicPartition } from "../core/record.ts";
import type { OperatePorts } from "./choice.ts";

export interface Place extends TopicPartition {
  readonly part: Part;
  /** Decided progress: of the group, or for a sink of its progress row; null when the task has never run. */
  readonly committed: bigint | null;
  readonly low: bigint;
  readonly high: bigint;
  /** The transactional id under which progress was committed. */
  readonly owner: string | null;
  readonly streamTimeMs: number | null;
  /** Of sinks: what Kafka was told, and the owner's number. */
  readonly hint: bigint | null;
  readonly epoch: bigint | null;
}

/** One a part, topic and partition, in their order; those in the redrive topic are `redrivePlacesOf`. */
export async function placesOf(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<readonly Place[]> {
  const names = [...new Set(parts.flatMap((part) => part.sources.map((topic) => topic.name)))];
  const found = await Promise.all(names.map((name) => ports.admin.watermarks(name)));
  const marks = new Map(names.map((name, i) => [name, found[i] as readonly Watermarks[]]));
  const places = parts.map((part) => placesOfPart(plan, part, { ports, marks }));
  return (await Promise.all(places)).flat();
}

/** Where the parts are in the topic that brings letters back. */
export async function redrivePlacesOf(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<readonly Place[]> {
  const reading = parts.map((part) => {
    const [source] = part.sources as [Part["sources"][0]];
    return { ...part, sources: [{ ...source, name: plan.redrive }] };
  });
  const places = await placesOf(plan, reading, ports);
  return places
    .filter(({ part, partition }) => partition < part.partitions)
    .map((place) => ({ ...place, part: partNamed(plan, place.part.name) ?? place.part }));
}

const partNamed = ({ parts }: Plan, name: string): Part | undefined =>
  parts.find((part) => part.name === name);

interface Asking {
  readonly ports: OperatePorts;
  readonly marks: ReadonlyMap<TopicName, readonly Watermarks[]>;
}

async function placesOfPart(plan: Plan, part: Part, asking: Asking): Promise<Place[]> {
  const at = part.sources.flatMap(({ name }) => asking.marks.get(name) ?? []);
  const committed = await asking.ports.admin.committed(part.group, at, { stable: true });
  const told = new Map(committed.map((offset) => [addressOf(offset), offset]));
  return Promise.all(
    at.map(async ({ topic, partition, low, high }): Promise<Place> => {
      const offset = told.get(addressOf({ topic, partition }));
      const known = { topic, partition, low, high, part };
      const inKafka = offset?.nextOffset ?? null;
      const metadata = decodeMetadata(offset?.metadata ?? "");
      const { owner = null, streamTimeMs = null } = metadata ?? {};
      if (part.table === null)
        return { ...known, committed: inKafka, owner, streamTimeMs, hint: null, epoch: null };
      const row = await rowOf(plan, { part, table: part.table, topic, partition }, asking.ports);
      return { ...known, ...row, owner, streamTimeMs: null, hint: inKafka };
    }),
  );
}

async function rowOf(
  { pipeline }: Plan,
  { part, table, topic, partition }: TopicPartition & { part: Part; table: PlanTable },
  ports: OperatePorts,
): Promise<Pick<Place, "committed" | "epoch">> {
  const task = { pipeline, part: part.name, topic, partition };
  const row = await ports.tableStore(table).progress(task);
  return { committed: row?.nextOffset ?? null, epoch: row?.epoch ?? null };
}
