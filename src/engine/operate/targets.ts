// Targets of a reset: from the words of a command to an offset of each partition. Nothing is bent into range: what
// lies outside of the topic is refused. And what the letters must know of it: from where each task reads on, and which of
// them are passed over on their way back.
import { untilEmpty, type EmptyingPorts } from "../core/empty-groups.ts";
import { MillraceError } from "../core/errors.ts";
import type { AdminPort, StartOffset } from "../core/kafka.ts";
import type { Plan } from "../core/plan.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../core/record.ts";
import type { SkippedRedrives } from "../letters/commands/generation.ts";
import type { Reading } from "../notes/generations.ts";
import { startNote, type Notes } from "../notes/notes.ts";
import type { TaskPlace } from "./places.ts";

export type ResetTarget =
  | { readonly kind: "earliest" | "latest" }
  | { readonly kind: "offset"; readonly offset: bigint }
  | { readonly kind: "time"; readonly epochMs: number }
  | { readonly kind: "shift"; readonly by: bigint }
  /** The progress of another consumer group; topics that it does not read stay where they are. */
  | { readonly kind: "group"; readonly group: GroupId }
  /** The offset of each listed partition; the others stay where they are. */
  | { readonly kind: "listed"; readonly offsets: readonly StartOffset[] };

export interface Aimed {
  readonly place: TaskPlace;
  readonly to: bigint;
  /** The end to which a reference topic is read first; left out: as before. */
  readonly loadTo?: bigint;
}

interface AimPorts extends EmptyingPorts {
  readonly admin: AdminPort;
}

/** Throws MILL_OFFSETS_OUTSIDE with every place that cannot be. */
export async function aim(
  places: readonly TaskPlace[],
  target: ResetTarget,
  ports: AimPorts,
): Promise<readonly Aimed[]> {
  const offsetOf = await aimedAt(places, target, ports);
  const aimed = places.flatMap((place) => {
    const to = offsetOf(place);
    return to === null ? [] : [{ place, to }];
  });
  const outside = aimed.filter(({ place, to }) => to < place.low || to > place.high);
  if (outside.length === 0) return aimed;
  throw new MillraceError("MILL_OFFSETS_OUTSIDE", outside.map(outsideText).join("; "));
}

const outsideText = ({ place, to }: Aimed): string =>
  `${addressOf(place)} at ${String(to)}, it has ${String(place.low)} to ${String(place.high)}`;

/** The offset of each place; null: it stays. */
async function aimedAt(
  places: readonly TaskPlace[],
  target: ResetTarget,
  ports: AimPorts,
): Promise<(place: TaskPlace) => bigint | null> {
  switch (target.kind) {
    case "earliest":
      return ({ low }) => low;
    case "latest":
      return ({ high }) => high;
    case "offset":
      return () => target.offset;
    case "time": {
      const found = await timed(places, target.epochMs, ports.admin);
      return (place) => found.find(isAt(place))?.nextOffset ?? place.high;
    }
    case "group": {
      const found = await ofGroup(places, target.group, ports);
      return (place) => found.find(isAt(place))?.nextOffset ?? null;
    }
    case "shift":
      return (place) => {
        if (place.committed !== null) return place.committed + target.by;
        throw new MillraceError("MILL_USAGE", `${addressOf(place)} has no progress to shift`);
      };
    case "listed":
      checkListed(places, target.offsets);
      return (place) => target.offsets.find(isAt(place))?.nextOffset ?? null;
  }
}

/** A group that is at work moves on while it is looked at; a partition without a word of it would be skipped or doubled. */
async function ofGroup(
  places: readonly TaskPlace[],
  group: GroupId,
  ports: AimPorts,
): Promise<readonly StartOffset[]> {
  await untilEmpty([group], ports);
  const offsets = await ports.admin.committed(group, places, { stable: true });
  const found = offsets.flatMap(({ topic, partition, nextOffset }) =>
    nextOffset === null ? [] : [{ topic, partition, nextOffset }],
  );
  const topics = new Set(found.map(({ topic }) => topic));
  const silent = places.filter((place) => topics.has(place.topic) && !found.some(isAt(place)));
  if (topics.size > 0 && silent.length === 0) return found;
  const where = (silent.length > 0 ? silent : places).map(addressOf).join(", ");
  throw new MillraceError(
    "MILL_NOT_FOUND",
    `what group ${group} has committed for ${where}; say of these where they begin, with --topic, --partition and another --to`,
  );
}

async function timed(
  places: readonly TaskPlace[],
  epochMs: number,
  admin: AdminPort,
): Promise<readonly StartOffset[]> {
  const topics = [...new Set(places.map(({ topic }) => topic))];
  return (await Promise.all(topics.map((topic) => admin.offsetsByTime(topic, epochMs)))).flat();
}

const isAt =
  (at: TopicPartition) =>
  (other: TopicPartition): boolean =>
    addressOf(at) === addressOf(other);

function checkListed(places: readonly TaskPlace[], offsets: readonly StartOffset[]): void {
  const strays = offsets.filter((listed) => !places.some(isAt(listed)));
  if (strays.length === 0) return;
  const names = strays.map(addressOf).join(", ");
  throw new MillraceError("MILL_USAGE", `the file lists what was not chosen: ${names}`);
}

export interface ResetFacts {
  readonly notes: Notes;
  readonly ids: ReadonlyMap<TopicName, string>;
}

/** Whether the task has read another topic of the name. */
export function isOtherTopic(place: TaskPlace, { notes, ids }: ResetFacts): boolean {
  const note = startNote(notes, place.part.group, place);
  return note !== null && note.topicId !== null && note.topicId !== ids.get(place.topic);
}

/** Where all begins anew from the first record on, everything in own topics is made again. */
export function readingsOf(
  moves: readonly Aimed[],
  known: ResetFacts,
  isAnew: boolean,
): readonly Reading[] {
  const isRead = ({ place, to }: Aimed): boolean =>
    isInternal(place) || (to === 0n && !isOtherTopic(place, known));
  const isWhole = isAnew && moves.every(isRead);
  return moves.map(({ place, to: from }) => {
    const { part, topic, partition, committed: stopped } = place;
    const at = { part: part.name, topic, partition, from, stopped };
    const isMade = isWhole && isInternal(place);
    return { ...at, isMade, isOther: isOtherTopic(place, known) };
  });
}

/** The ranges of the redrive topic that are passed over. */
export const skipsOf = ({ redrive }: Plan, moves: readonly Aimed[]): readonly SkippedRedrives[] =>
  moves.flatMap(({ place, to }) => {
    const { part, topic, partition, committed, low, high } = place;
    if (topic !== redrive) return [];
    const from = committed === null || committed < low ? low : committed;
    return [{ part: part.name, topic, partition, from, to, isAll: to === high }];
  });

export const isInternal = ({ part, topic }: TaskPlace): boolean =>
  part.sources.some(({ name, internal }) => name === topic && internal !== null);

/** Tasks that begin anew in every source load their reference topics first, as at a first start. */
export async function loadingFirst(
  moves: readonly Aimed[],
  admin: AdminPort,
): Promise<readonly Aimed[]> {
  const isMoved = ({ part, partition }: TaskPlace, topic: TopicName): boolean =>
    moves.some(
      ({ place }) => place.part === part && place.partition === partition && place.topic === topic,
    );
  const begins = moves.filter(({ place }) => {
    const { part, topic } = place;
    const isReference = part.sources.some((one) => one.name === topic && one.loadFirst === true);
    return isReference && part.sources.every(({ name }) => isMoved(place, name));
  });
  if (begins.length === 0) return moves;
  const ends = await admin.stableEnds(begins.map(({ place }) => place));
  return moves.map((move) => {
    const end = ends[begins.indexOf(move)];
    return end === undefined ? move : { ...move, loadTo: end.nextOffset };
  });
}
