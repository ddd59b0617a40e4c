// The start of a stream task: committed progress, read stable, after its dead owner's transaction was ended.
// A first start is written down before anything is read, so that lost progress is not taken for no progress.
import { decodeMetadata, encodeMetadata } from "../core/task-inputs.ts";
import { MillraceError } from "../core/errors.ts";
import type {
  CommittedOffset,
  KafkaPort,
  Progress,
  StartOffset,
  TopicDescription,
  Watermarks,
} from "../core/kafka.ts";
import type { StoredTime } from "../core/event-time.ts";
import { emptyLedger, type LedgerCounts } from "../core/ledger.ts";
import type { LoadStart } from "../core/loading.ts";
import type { Log } from "../core/ports.ts";
import { sendOnce } from "../core/send-once.ts";
import { watermarksOf } from "../core/read-range.ts";
import {
  addressOf,
  type GroupId,
  type OutRecord,
  type TopicName,
  type TopicPartition,
} from "../core/record.ts";
import {
  cameLater,
  isPiece,
  pieceRecord,
  startNote,
  startRecord,
  type Notes,
} from "../notes/notes.ts";
import { adopted, loadingOf, loadStartsOf, type StartRequest } from "./start-offsets.ts";
import { inherit, type InheritPorts, type InheritRequest } from "./inherit.ts";
import {
  damagedBeside,
  offsetGone,
  partitionsChanged,
  progressLost,
  topicRecreated,
  versionsDiffer,
} from "../notes/stops.ts";

export interface TakeoverPorts extends InheritPorts {
  readonly kafka: KafkaPort;
  readonly log: Pick<Log, "warn">;
}

export interface TakeoverRequest extends InheritRequest, StartRequest {
  readonly transactionTimeoutMs: number;
}

/** The start of one partition, or why it cannot begin. */
export interface TakenOver extends LoadStart {
  readonly ledger: LedgerCounts;
  /** The times of the input, as its progress has them. */
  readonly time: StoredTime;
  readonly stop: MillraceError | null;
}

type Described = ReadonlyMap<TopicName, TopicDescription | null>;

/** The facts of Kafka about the partitions now. */
interface TakeoverFacts {
  readonly marks: ReadonlyMap<string, Watermarks>;
  readonly topics: Described;
  readonly notes: Notes;
}

/**
 * 1 end what dead owners left open · 2 read progress, stable · 3 see that the topics are those in which the tasks began ·
 * 4 note first starts · 5 check that the log still has it. Throws MILL_TOPIC_MISSING when a topic is gone.
 */
export async function takeOver(
  ports: TakeoverPorts,
  request: TakeoverRequest,
): Promise<TakenOver[]> {
  const { assignment, partitions } = request;
  const { generation } = assignment;
  const other = versionsDiffer(request.part, assignment.partitions);
  if (other !== null) return partitions.map((at) => stopped(at, other));
  // 1
  const endOwners = (group: GroupId, at: readonly TopicPartition[]): Promise<void> =>
    endDeadOwners(ports, request, group, at);
  await endOwners(generation.group, partitions);
  // 2
  let offsets = await progressOf(ports, request);
  // 3
  const marks = await watermarksOf(ports.admin, topicsOf(partitions));
  const topics = await ports.admin.describeTopics(topicsOf(partitions));
  const notes = await notesFor(ports, generation.group, offsets, topics);
  // A takeover that was given up may have written a first start meanwhile: its progress is there when its note is.
  const isNoted = (at: CommittedOffset): boolean =>
    at.nextOffset === null && startNote(notes, generation.group, at) !== null;
  if (offsets.some(isNoted)) offsets = await progressOf(ports, request);
  const committed = offsets.map((offset) =>
    isOthers(request, offset, notes) ? { ...offset, nextOffset: null, metadata: "" } : offset,
  );
  if (await inherit(ports, request, { notes, committed, endOwners }))
    return takeOver(ports, request);
  const found = { marks, topics, notes };
  // 4
  const isFirst = (offset: CommittedOffset): boolean =>
    offset.nextOffset === null &&
    (startNote(notes, generation.group, offset) === null || isOthers(request, offset, notes)) &&
    // A table that came later has its name, and its group: where it was cannot be known.
    !request.naming.taken(offset.topic).some((group) => isPiece(notes, group, offset));
  const missing = committed.filter((offset) => isFirst(offset) && !isUnfit(request, offset, found));
  const first = missing.length === 0 ? [] : await firstStarts(ports, request, missing, found);
  await adopt(ports, request, committed, found);
  // 5
  const taken = committed.map(
    (offset) =>
      first.find((start) => addressOf(start) === addressOf(offset)) ?? goOn(request, offset, found),
  );
  const gone = taken.find(({ stop }) => stop?.code === "MILL_TOPIC_MISSING")?.stop ?? null;
  if (gone !== null) throw gone;
  return taken;
}

/** Stable, and as new as the generation. */
async function progressOf(
  ports: TakeoverPorts,
  { partitions, assignment: { generation } }: TakeoverRequest,
): Promise<readonly CommittedOffset[]> {
  const how = { stable: true, member: generation };
  // mistake: unstable progress
  const offsets = await ports.admin.committed(generation.group, partitions, how);
  return offsets;
}

const stopped = ({ topic, partition }: TopicPartition, stop: MillraceError): TakenOver => {
  const start = { topic, partition, nextOffset: 0n };
  return { ...start, ledger: emptyLedger(), time: {}, stop };
};

const topicsOf = (partitions: readonly TopicPartition[]): TopicName[] => [
  ...new Set(partitions.map(({ topic }) => topic)),
];

/** Notes of earlier takeovers will do where they agree with what is found; else they are read anew before they are believed. */
async function notesFor(
  { notes: book }: TakeoverPorts,
  group: GroupId,
  committed: readonly CommittedOffset[],
  topics: Described,
): Promise<Notes> {
  const known = await (book.isRead ? book.read() : null);
  const agrees = (at: CommittedOffset): boolean =>
    at.nextOffset !== null &&
    startNote(known ?? new Map(), group, at)?.topicId === topics.get(at.topic)?.id;
  if (known !== null && committed.every(agrees)) return known;
  book.forget();
  return book.read();
}

/** The group was a table's, which had the name that the piece has now: nothing of it is the piece's. */
const isOthers = (
  { naming, assignment: { generation } }: TakeoverRequest,
  at: TopicPartition,
  notes: Notes,
): boolean =>
  naming.isNamed &&
  startNote(notes, generation.group, at) !== null &&
  !isPiece(notes, generation.group, at);

/** Notes that the partitions of a part which is named by its source are its own. */
const pieceNotes = (
  { naming, assignment, meta }: TakeoverRequest,
  at: readonly TopicPartition[],
): OutRecord[] =>
  naming.isNamed ? at.map((one) => pieceRecord(meta, assignment.generation.group, one)) : [];

/** A transactional id in the metadata that no present member has belongs to a dead worker: initialising it ends its transaction. */
async function endDeadOwners(
  ports: TakeoverPorts,
  { assignment, owner, transactionTimeoutMs }: TakeoverRequest,
  group: GroupId,
  partitions: readonly TopicPartition[],
): Promise<void> {
  const { members } = assignment;
  const latest = await ports.admin.committed(group, partitions, { stable: false });
  const owners = new Set(latest.map(({ metadata }) => decodeMetadata(metadata)?.owner ?? owner));
  for (const transactionalId of owners) {
    if (transactionalId === owner || members.includes(transactionalId)) continue;
    const producer = ports.kafka.txProducer({ transactionalId, timeoutMs: transactionTimeoutMs });
    await producer.init().catch((error: unknown) => leftToTimeout(error, ports.log));
    await producer.close();
  }
}

/** An id with another prefix, from before a change of the setting or from a command: its transaction ends by itself. */
function leftToTimeout(error: unknown, log: Pick<Log, "warn">): void {
  if (!(error instanceof MillraceError) || error.code !== "MILL_KAFKA_AUTH") throw error;
  log.warn({ code: error.code, error: error.message }, "waiting for a transaction to time out");
}

/** A topic of another shape than declared: nothing of it may be begun. */
const isUnfit = (
  { part }: TakeoverRequest,
  at: TopicPartition,
  { topics }: TakeoverFacts,
): boolean => partitionsChanged(part, at, topics.get(at.topic) ?? null) !== null;

function goOn(request: TakeoverRequest, offset: CommittedOffset, found: TakeoverFacts): TakenOver {
  const { topic, partition, metadata } = offset;
  const known = decodeMetadata(metadata);
  return {
    topic,
    partition,
    nextOffset: offset.nextOffset ?? 0n,
    ledger: known?.ledger ?? emptyLedger(),
    time: known?.time ?? {},
    ...loadingOf(request.part, offset, found.marks),
    stop: stopOf(request, offset, found),
  };
}

/** The first that applies: what is wrong with the topic explains what is wrong with the progress in it. */
function stopOf(
  { part, assignment }: TakeoverRequest,
  offset: CommittedOffset,
  { marks, topics, notes }: TakeoverFacts,
): MillraceError | null {
  const described = topics.get(offset.topic) ?? null;
  const changed = partitionsChanged(part, offset, described);
  if (changed !== null) return changed;
  const noted = startNote(notes, assignment.generation.group, offset)?.topicId ?? null;
  if (noted !== null && noted !== described?.id) return topicRecreated(part, offset);
  if (offset.nextOffset === null) return progressLost(part, offset);
  const { group } = assignment.generation;
  const start = { ...offset, nextOffset: offset.nextOffset, group };
  return offsetGone(part, start, marks.get(addressOf(offset))) ?? damagedBeside(part, start);
}

/** Partitions without progress that have never begun. */
async function firstStarts(
  ports: TakeoverPorts,
  request: TakeoverRequest,
  missing: readonly CommittedOffset[],
  { topics, notes }: TakeoverFacts,
): Promise<TakenOver[]> {
  const { assignment, meta, part } = request;
  const { generation } = assignment;
  const isNew = (at: TopicPartition): boolean => cameLater(notes, generation.group, at);
  const starts = await loadStartsOf(ports.admin, request, missing, isNew);
  const progress = starts.map(({ loadTo = null, ...start }): Progress => {
    const metadata = encodeMetadata({ owner: request.owner, ledger: emptyLedger(), loadTo });
    return { ...start, metadata };
  });
  const { partitions } = part;
  const noteOf = (start: StartOffset) => {
    const topicId = topics.get(start.topic)?.id ?? null;
    return startRecord(meta, generation.group, start, { topicId, partitions });
  };
  await ports.transact(async (producer) => {
    producer.begin();
    await producer.send([...starts.map(noteOf), ...pieceNotes(request, starts)]);
    await producer.sendOffsets(progress, generation);
    await producer.commit();
  });
  ports.notes.forget();
  const fresh = { ledger: emptyLedger(), time: {}, stop: null };
  return starts.map((start) => ({ ...start, ...fresh }));
}

/** Progress whose note does not say in which topic it was made (set by another tool, or by an older release): in this one, as it is. */
async function adopt(
  ports: TakeoverPorts,
  request: TakeoverRequest,
  committed: readonly CommittedOffset[],
  found: TakeoverFacts,
): Promise<void> {
  const { assignment, meta, part } = request;
  const { group } = assignment.generation;
  const records = committed.flatMap((offset) => {
    const topic = found.topics.get(offset.topic) ?? null;
    const known = startNote(found.notes, group, offset);
    const note = offset.nextOffset === null ? null : adopted(known, topic, part.partitions);
    if (note === null) return [];
    const start = { ...offset, nextOffset: note.nextOffset };
    return [startRecord(meta, group, start, note), ...pieceNotes(request, [offset])];
  });
  if (records.length === 0) return;
  await sendOnce(ports.kafka, records);
  ports.notes.forget();
}
