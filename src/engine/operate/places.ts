// The place of every task of a pipeline, beside where its topics begin and end: the ground on which offsets are shown and
// reset.
import { commitWhenEmpty } from "../core/empty-groups.ts";
import type { CommittedOffset, Watermarks } from "../core/kafka.ts";
import { late } from "../core/late-topics.ts";
import { formerGroups, formerNames, mainGroup } from "../core/pieces.ts";
import { decodeMetadata } from "../core/task-inputs.ts";
import type { Part, Plan } from "../core/plan.ts";
import { readingRedrive, readProgress } from "../core/progress.ts";
import type { StoredTime } from "../core/event-time.ts";
import { watermarksOf } from "../core/read-range.ts";
import { addressOf, type GroupId, type TopicPartition } from "../core/record.ts";
import { isPiece, readNotes, startNote, type Notes } from "../notes/notes.ts";
import type { OperatePorts } from "./choice.ts";

export interface TaskPlace extends TopicPartition {
  readonly part: Part;
  /** Decided progress: of the group, or for a sink of its progress row; null when the task has never run. */
  readonly committed: bigint | null;
  readonly low: bigint;
  readonly high: bigint;
  /** The transactional id under which progress was committed. */
  readonly owner: string | null;
  readonly time: StoredTime;
  /** The end to which a reference topic is still to be read first. */
  readonly loadTo: bigint | null;
  /** For sinks: the offset that Kafka has as a hint, and the owner's number. */
  readonly hint: bigint | null;
  readonly epoch: bigint | null;
}

/** Returns one place per part, topic and partition, in order; `redrivePlacesOf` has those in the redrive topic. */
export async function placesOf(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<readonly TaskPlace[]> {
  return withFormer(plan, await placesReading(plan, parts, ports), ports);
}

/** A part that has not begun under its name goes on where it was under an earlier one. */
async function withFormer(
  plan: Plan,
  places: readonly TaskPlace[],
  ports: OperatePorts,
): Promise<readonly TaskPlace[]> {
  const fresh = places.filter(
    ({ part, committed }) => committed === null && formerNames(part).length > 0,
  );
  if (fresh.length === 0) return places;
  const found = await formerOffsets(plan, fresh, await readNotes(ports, plan.meta), ports);
  const former = new Map(found.map((at) => [addressOf(at), at]));
  return places.map((place) => {
    const known = fresh.includes(place) ? former.get(addressOf(place)) : undefined;
    if (known === undefined) return place;
    return { ...place, committed: known.nextOffset, ...factsIn(known.metadata) };
  });
}

/** As their groups have it. */
async function placesReading(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<readonly TaskPlace[]> {
  const names = parts.flatMap((part) => part.sources.map(({ name }) => name));
  const marks = await watermarksOf(ports.admin, names);
  const places = parts.map((part) => placesOfPart(plan, part, part, marks, ports));
  return (await Promise.all(places)).flat();
}

/** The places of the parts in the topic that brings letters back; none while it does not exist. */
export async function redrivePlacesOf(
  plan: Plan,
  parts: readonly Part[],
  ports: OperatePorts,
): Promise<readonly TaskPlace[]> {
  const marks = await watermarksOf(late(ports).admin, [plan.redrive]);
  const places = parts.map((part) =>
    placesOfPart(plan, part, readingRedrive(plan, part), marks, ports),
  );
  return (await Promise.all(places))
    .flat()
    .filter(({ part, partition }) => partition < part.partitions);
}

async function placesOfPart(
  plan: Plan,
  part: Part,
  reading: Part,
  marks: ReadonlyMap<string, Watermarks>,
  ports: OperatePorts,
): Promise<TaskPlace[]> {
  // As wide as the topics are, not as they are declared.
  const sources = reading.sources.map((source) => {
    const { length: partitions } = [...marks.values()].filter((at) => at.topic === source.name);
    return { ...source, partitions };
  });
  const progress = await readProgress({ ...plan, parts: [{ ...part, sources }] }, ports);
  const hints =
    part.table === null ? [] : await ports.admin.committed(part.group, progress, { stable: true });
  const hintAt = new Map(hints.map((hint) => [addressOf(hint), hint.nextOffset]));
  return progress.map(({ topic, partition, nextOffset: committed, metadata, epoch }) => {
    const address = addressOf({ topic, partition });
    const { low = 0n, high = 0n } = marks.get(address) ?? {};
    const hint = hintAt.get(address) ?? null;
    const facts = factsIn(metadata ?? "");
    return { topic, partition, part, committed, low, high, ...facts, hint, epoch };
  });
}

function factsIn(metadata: string): Pick<TaskPlace, "owner" | "time" | "loadTo"> {
  const { owner = null, time = {}, loadTo = null } = decodeMetadata(metadata) ?? {};
  return { owner, time, loadTo };
}

/**
 * Progress that a part had under another name in an earlier version of the pipeline, as long as no worker of this version
 * has taken it over: it is shown as the part's, and a reset that puts the part elsewhere takes it away.
 */
export interface FormerOffset extends CommittedOffset {
  readonly group: GroupId;
}

/** The progress under earlier names, of the places that have some. */
export async function formerOffsets(
  plan: Plan,
  places: readonly TaskPlace[],
  notes: Notes,
  { admin }: Pick<OperatePorts, "admin">,
): Promise<readonly FormerOffset[]> {
  const begun = places
    .flatMap((at) => {
      const { free } = formerGroups(plan, at.part, at.topic);
      return free.map((group) => ({ ...at, group }));
    })
    .filter((at) => startNote(notes, at.group, at) !== null)
    .filter((at) => at.group === mainGroup(at.part) || isPiece(notes, at.group, at));
  const found = [...Map.groupBy(begun, ({ group }) => group)].map(async ([group, own]) => {
    const offsets = await admin.committed(group, own, { stable: true });
    return offsets.map((offset): FormerOffset => ({ ...offset, group }));
  });
  return (await Promise.all(found)).flat().filter(({ nextOffset }) => nextOffset !== null);
}

/** No worker has progress there any more. Throws FencedError while a group has members. */
export async function forgetFormer(
  offsets: readonly FormerOffset[],
  ports: Pick<OperatePorts, "admin" | "clock" | "patience">,
): Promise<void> {
  for (const [group, own] of Map.groupBy(offsets, (offset) => offset.group)) {
    const none = own.map(({ topic, partition, metadata }) => ({
      ...{ topic, partition, metadata },
      nextOffset: -1n,
    }));
    await commitWhenEmpty(group, none, ports);
  }
}
