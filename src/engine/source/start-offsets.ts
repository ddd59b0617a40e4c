// The offsets at which a task begins that has never run, and to which end it loads its reference topics first.
import type {
  AdminPort,
  CommittedOffset,
  StartOffset,
  TopicDescription,
  Watermarks,
} from "../core/kafka.ts";
import type { LoadStart } from "../core/loading.ts";
import { watermarksOf } from "../core/read-range.ts";
import { addressOf, type TopicName, type TopicPartition } from "../core/record.ts";
import { decodeMetadata } from "../core/task-inputs.ts";
import type { StartNote } from "../notes/notes.ts";
import type { PartFacts } from "../notes/stops.ts";

export interface StartRequest {
  readonly part: PartFacts;
  readonly start: "earliest" | "latest" | number;
}

/**
 * As the pipeline says, but nothing that was ever redriven is passed over, nothing of a reference topic, and nothing of a
 * partition that came later.
 */
export async function firstStartsOf(
  admin: AdminPort,
  { start, part: { redrive, loadFirst } }: StartRequest,
  partitions: readonly TopicPartition[],
  isNew: (at: TopicPartition) => boolean,
): Promise<StartOffset[]> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const marks = await watermarksOf(admin, topics);
  const isWhole = (topic: TopicName): boolean => topic === redrive || loadFirst.includes(topic);
  const own = typeof start === "number" ? topics.filter((topic) => !isWhole(topic)) : [];
  const timed = await Promise.all(own.map((topic) => admin.offsetsByTime(topic, start as number)));
  return partitions.map(({ topic, partition }) => {
    const address = addressOf({ topic, partition });
    const mark = marks.get(address);
    const isAll = isWhole(topic) || isNew({ topic, partition });
    const byTime = isAll
      ? undefined
      : timed.flat().find((offset) => addressOf(offset) === address)?.nextOffset;
    const isLatest = start === "latest" && !isAll;
    const nextOffset = byTime ?? (isLatest ? mark?.high : mark?.low) ?? 0n;
    return { topic, partition, nextOffset };
  });
}

/** A reference topic is loaded to the end that committed readers see now. */
export async function loadStartsOf(
  admin: AdminPort,
  request: StartRequest,
  missing: readonly TopicPartition[],
  isNew: (at: TopicPartition) => boolean,
): Promise<LoadStart[]> {
  const starts = await firstStartsOf(admin, request, missing, isNew);
  const { loadFirst } = request.part;
  const references = starts.filter(({ topic }) => loadFirst.includes(topic));
  const ends = references.length === 0 ? [] : await admin.stableEnds(references);
  const endOf = new Map(ends.map((end) => [addressOf(end), end.nextOffset]));
  return starts.map((start) => {
    const loadTo = endOf.get(addressOf(start));
    if (loadTo === undefined) return start;
    return { ...start, loadTo: loadTo > start.nextOffset ? loadTo : null };
  });
}

/** The end to which a reference topic is still to be read first; the log may have lost its end since. */
export function loadingOf(
  { loadFirst }: PartFacts,
  { metadata, ...at }: CommittedOffset,
  marks: ReadonlyMap<string, Watermarks>,
): Pick<LoadStart, "loadTo"> {
  if (!loadFirst.includes(at.topic)) return {};
  const { loadTo = null } = decodeMetadata(metadata) ?? {};
  const high = marks.get(addressOf(at))?.high ?? loadTo;
  // mistake: loading forgotten
  return { loadTo: loadTo !== null && high !== null && high < loadTo ? high : loadTo };
}

/**
 * The note of a task whose own does not say in which topic it began; null where nothing lacks. A start that is not noted is
 * unknown: no record is before offset 0.
 */
export function adopted(
  known: StartNote | null,
  topic: TopicDescription | null,
  partitions: number,
): StartNote | null {
  const { nextOffset, topicId, partitions: noted } = known ?? UNNOTED;
  if (topicId !== null && noted !== null) return null;
  return { nextOffset, topicId: topicId ?? topic?.id ?? null, partitions: noted ?? partitions };
}

const UNNOTED: StartNote = { nextOffset: 0n, topicId: null, partitions: null };
