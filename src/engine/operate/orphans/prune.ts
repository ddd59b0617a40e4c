// Removes topics that a pipeline's plan no longer has, with the copies of state that followed them and the notes about
// them. What somebody reads is never removed; what nobody has read, or what no note knows, only when it is forced.
import { untilEmpty } from "../../core/empty-groups.ts";
import { MillraceError } from "../../core/errors.ts";
import type { GroupDescription } from "../../core/kafka.ts";
import type { Plan } from "../../core/plan.ts";
import { readRange, readTopic } from "../../core/read-range.ts";
import { addressOf, type TopicName, type TopicPartition } from "../../core/record.ts";
import { sendOnce } from "../../core/send-once.ts";
import { factsOf } from "../../letters/found-letter.ts";
import { noteRecord, readNotes, storeKey, type Notes } from "../../notes/notes.ts";
import type { OperatePorts } from "../choice.ts";
import type { Orphan } from "./orphans.ts";

export interface PruneStep extends Orphan {
  readonly partitions: number;
  /** Offsets between beginning and end. */
  readonly records: number;
  /** Whoever reads it: nothing removes it. */
  readonly readers: readonly string[];
  /** Reasons that `force` overrules. */
  readonly doubts: readonly string[];
}

/** Plans; changes nothing. */
export async function planPrune(
  orphans: readonly Orphan[],
  ports: OperatePorts,
): Promise<readonly PruneStep[]> {
  if (orphans.length === 0) return [];
  const groups = await allGroups(ports);
  const notes = new Map<TopicName, Notes>();
  const steps: PruneStep[] = [];
  for (const orphan of orphans) {
    const { meta } = orphan.plan;
    const known = notes.get(meta) ?? (await notesIn(meta, ports));
    notes.set(meta, known);
    steps.push(await stepFor(orphan, known, groups, ports));
  }
  return steps;
}

/** Workers that were killed are members of the pipeline's groups until their sessions end. */
export async function planPruneWhenIdle(
  orphans: readonly Orphan[],
  ports: OperatePorts,
): Promise<readonly PruneStep[]> {
  const steps = await planPrune(orphans, ports);
  const own = steps.flatMap(({ readers, plan }) =>
    readers.filter((group) => group.startsWith(groupPrefix(plan))),
  );
  if (own.length === 0) return steps;
  try {
    await untilEmpty(own, ports);
  } catch (error) {
    // Those that are at work keep their topics, and the plan says so.
    if (!(error instanceof MillraceError && error.code === "MILL_OFFSETS_ACTIVE")) throw error;
  }
  return planPrune(orphans, ports);
}

const groupPrefix = ({ namespace, pipeline }: Plan): string => `${namespace}${pipeline}.`;

export const isRemovable = ({ readers, doubts }: PruneStep, force: boolean): boolean =>
  readers.length === 0 && (force || doubts.length === 0);

/** 1 topics · 2 copies · 3 notes: a copy without its topic is rebuilt or refused, never read. Safe to repeat. */
export async function prune(steps: readonly PruneStep[], ports: OperatePorts): Promise<void> {
  for (const step of steps) {
    // 1
    await ports.admin.deleteTopics([step.topic]);
    // 2
    if (step.kind === "changelog") await removeCopiesOf(step, ports);
    // 3
    const { meta } = step.plan;
    const about = [...(await notesIn(meta, ports)).keys()].filter((key) => isAbout(key, step));
    await sendOnce(
      ports.kafka,
      about.map((key) => noteRecord(meta, key, null)),
    );
  }
}

async function removeCopiesOf(
  { plan, name: store, partitions }: PruneStep,
  { stateCopies }: OperatePorts,
): Promise<void> {
  if (plan.options.state !== "redis") return;
  const prefix = `${plan.namespace}${plan.pipeline}`;
  const copies = stateCopies("redis");
  for (let partition = 0; partition < partitions; partition++)
    await copies.copy({ prefix, store, partition }).remove();
}

async function notesIn(meta: TopicName, ports: OperatePorts): Promise<Notes> {
  const found = await ports.admin.describeTopics([meta]);
  return (found.get(meta) ?? null) === null ? new Map() : readNotes(ports, meta);
}

/** A note of where a task began in the topic, or of the store whose changelog it is. */
const isAbout = (key: string, { topic, kind, name }: Orphan): boolean =>
  kind === "changelog"
    ? key === storeKey(name)
    : /^(start|piece)\//.test(key) && new RegExp(`/${escaped(topic)}-\\d+$`).test(key);

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

async function allGroups({ admin }: OperatePorts): Promise<readonly GroupDescription[]> {
  const described: GroupDescription[] = [];
  for (const group of await admin.listGroups()) described.push(await admin.describeGroup(group));
  return described;
}

async function stepFor(
  orphan: Orphan,
  notes: Notes,
  groups: readonly GroupDescription[],
  ports: OperatePorts,
): Promise<PruneStep> {
  const { topic, plan } = orphan;
  const marks = await ports.admin.watermarks(topic);
  const records = marks.reduce((sum, { low, high }) => sum + Number(high - low), 0);
  const own = groupPrefix(plan);
  // A group at its rebalance does not say what it reads.
  const isReading = ({ group, members }: GroupDescription): boolean =>
    members.some(({ topics }) => topics?.includes(topic) ?? group.startsWith(own));
  const readers = groups.filter(isReading).map(({ group }) => group);
  const wasEmpty = marks.every(({ high }) => high === 0n);
  const isKnown = [...notes.keys()].some((key) => isAbout(key, orphan));
  const doubts = wasEmpty ? [] : await doubtsOf(orphan, isKnown, groups, ports);
  return { ...orphan, partitions: marks.length, records, readers, doubts };
}

async function doubtsOf(
  orphan: Orphan,
  isKnown: boolean,
  groups: readonly GroupDescription[],
  ports: OperatePorts,
): Promise<string[]> {
  const { topic, kind, plan, name } = orphan;
  if (kind === "parked letters") {
    let letters = 0;
    for await (const raw of readTopic(topic, ports)) if (factsOf(raw, true) !== null) letters++;
    return letters === 0 ? [] : [`it has ${String(letters)} letters, which would be gone`];
  }
  if (!isKnown)
    return [`no note of ${plan.pipeline} says that it was its own, and it has had records`];
  if (kind !== "changelog") {
    const unread = await unreadIn(topic, groups, ports);
    return unread === 0 ? [] : [`${String(unread)} records in it were read by nobody`];
  }
  const queued = name.endsWith("-parked") ? await keysIn(topic, ports) : 0;
  return queued === 0
    ? []
    : [`${String(queued)} keys are queued in it, which nobody would call for`];
}

/** Records behind the progress of every group; the hint of a table is as good as its progress, which is ahead of it. */
async function unreadIn(
  topic: TopicName,
  groups: readonly GroupDescription[],
  ports: OperatePorts,
): Promise<number> {
  let unread = 0;
  for (const { partition, low, high } of await ports.admin.watermarks(topic)) {
    const read = await furthest({ topic, partition }, groups, ports);
    const from = read !== null && read > low ? read : low;
    for await (const { records } of readRange(ports.kafka, { topic, partition, from, to: high }))
      unread += records.length;
  }
  return unread;
}

async function furthest(
  at: TopicPartition,
  groups: readonly GroupDescription[],
  { admin }: OperatePorts,
): Promise<bigint | null> {
  let most: bigint | null = null;
  for (const { group } of groups) {
    const found = await admin.committed(group, [at], { stable: true });
    const next = found.find((one) => addressOf(one) === addressOf(at))?.nextOffset ?? null;
    if (next !== null && (most === null || next > most)) most = next;
  }
  return most;
}

async function keysIn(topic: TopicName, ports: OperatePorts): Promise<number> {
  const keys = new Set<string>();
  for await (const { key, value, partition } of readTopic(topic, ports)) {
    const id = `${String(partition)} ${key?.toString("latin1") ?? ""}`;
    if (value === null) keys.delete(id);
    else keys.add(id);
  }
  return keys.size;
}
