// Where a stream task goes on: committed progress, read stable, after its dead owner's transaction was ended.
// A first start is written down before anything is read, so that lost progress can be told from no progress.
import { decodeMetadata, encodeMetadata } from "../core/metadata.ts";
import { MillraceError } from "../core/errors.ts";
import type {
  AdminPort,
  Assignment,
  CommittedOffset,
  KafkaPort,
  Progress,
  StartOffset,
  TxProducer,
  Watermarks,
} from "../core/kafka.ts";
import { emptyLedger, type LedgerCounts } from "../core/ledger.ts";
import { addressOf, type OutRecord, type TopicName, type TopicPartition } from "../core/record.ts";

export interface TakeoverPorts {
  readonly kafka: KafkaPort;
  readonly admin: AdminPort;
  /** Runs a transaction of this worker, between its checkpoints. */
  transact(body: (producer: TxProducer) => Promise<void>): Promise<void>;
}

export interface TakeoverRequest {
  readonly assignment: Assignment;
  /** This worker's transactional id. */
  readonly owner: string;
  readonly transactionTimeoutMs: number;
  readonly start: "earliest" | "latest" | number;
  readonly meta: TopicName;
}

/** Where one partition begins, or why it cannot. */
export interface TakenOver extends StartOffset {
  readonly ledger: LedgerCounts;
  readonly stop: MillraceError | null;
}

/** 1 end what dead owners left open · 2 read progress, stable · 3 note first starts · 4 check that the log still has it. */
export async function takeOver(
  ports: TakeoverPorts,
  request: TakeoverRequest,
): Promise<TakenOver[]> {
  const { partitions, generation } = request.assignment;
  const { group } = generation;
  // 1
  await endDeadOwners(ports, request);
  // 2
  const committed = await ports.admin.committed(group, partitions, { stable: true });
  const marks = await watermarksOf(ports.admin, partitions);
  // 3
  const missing = committed.filter((offset) => offset.nextOffset === null);
  const first = missing.length === 0 ? [] : await firstStarts(ports, request, missing);
  // 4
  return committed.map((offset) => {
    const fresh = first.find((start) => addressOf(start) === addressOf(offset));
    return fresh ?? inRange(offset, marks.get(addressOf(offset)));
  });
}

/** A transactional id in the metadata that no present member has belongs to a dead worker: initialising it ends its transaction. */
async function endDeadOwners(ports: TakeoverPorts, request: TakeoverRequest): Promise<void> {
  const { assignment, owner, transactionTimeoutMs } = request;
  const { generation, partitions, members } = assignment;
  const latest = await ports.admin.committed(generation.group, partitions, { stable: false });
  const owners = new Set(latest.map(({ metadata }) => decodeMetadata(metadata)?.owner ?? owner));
  for (const transactionalId of owners) {
    if (transactionalId === owner || members.includes(transactionalId)) continue;
    const producer = ports.kafka.txProducer({ transactionalId, timeoutMs: transactionTimeoutMs });
    await producer.init();
    await producer.close();
  }
}

async function watermarksOf(
  admin: AdminPort,
  partitions: readonly TopicPartition[],
): Promise<Map<string, Watermarks>> {
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const marks = await Promise.all(topics.map((topic) => admin.watermarks(topic)));
  return new Map(marks.flat().map((mark) => [addressOf(mark), mark]));
}

function inRange(offset: CommittedOffset, mark: Watermarks | undefined): TakenOver {
  const { topic, partition, metadata } = offset;
  const nextOffset = offset.nextOffset ?? 0n;
  const ledger = decodeMetadata(metadata)?.ledger ?? emptyLedger();
  const start = { topic, partition, nextOffset };
  return { ...start, ledger, stop: offsetGone(start, mark) };
}

function offsetGone(start: StartOffset, mark: Watermarks | undefined): MillraceError | null {
  const { topic, partition, nextOffset } = start;
  if (mark !== undefined && nextOffset >= mark.low && nextOffset <= mark.high) return null;
  const found = mark === undefined ? "nothing" : `${String(mark.low)} to ${String(mark.high)}`;
  const detail = `${addressOf(start)}: committed ${String(nextOffset)}, the topic has ${found}`;
  const where = { topic, partition, offset: nextOffset };
  return new MillraceError("MILL_SOURCE_OFFSET_GONE", detail, { where });
}

/** Throws when the log does not have what progress says is next: seeking there would skip records, or never end. */
export async function checkInLog(admin: AdminPort, start: StartOffset): Promise<void> {
  const marks = await watermarksOf(admin, [start]);
  const gone = offsetGone(start, marks.get(addressOf(start)));
  if (gone !== null) throw gone;
}

/** Partitions without progress: begun for the first time, or begun once and lost. */
async function firstStarts(
  ports: TakeoverPorts,
  request: TakeoverRequest,
  missing: readonly CommittedOffset[],
): Promise<TakenOver[]> {
  const { generation } = request.assignment;
  const noted = await readNotes(ports, request.meta);
  const noteOf = (at: TopicPartition): string => `start/${generation.group}/${addressOf(at)}`;
  const lost = missing.filter((at) => noted.has(noteOf(at)));
  const fresh = missing.filter((at) => !noted.has(noteOf(at)));
  const starts = await startsOf(ports.admin, request.start, fresh);
  const metadata = encodeMetadata({ owner: request.owner, ledger: emptyLedger() });
  const progress = starts.map((start): Progress => ({ ...start, metadata }));
  if (progress.length > 0)
    await ports.transact(async (producer) => {
      producer.begin();
      await producer.send(starts.map((start) => note(request.meta, noteOf(start), start)));
      await producer.sendOffsets(progress, generation);
      await producer.commit();
    });
  const begun = starts.map((start) => ({ ...start, ledger: emptyLedger(), stop: null }));
  return [...begun, ...lost.map(progressLost)];
}

const progressLost = ({ topic, partition }: TopicPartition): TakenOver => ({
  topic,
  partition,
  nextOffset: 0n,
  ledger: emptyLedger(),
  stop: new MillraceError("MILL_SOURCE_PROGRESS_LOST", addressOf({ topic, partition }), {
    where: { topic, partition },
  }),
});

const note = (meta: TopicName, key: string, start: StartOffset): OutRecord => ({
  topic: meta,
  partition: 0,
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify({ nextOffset: String(start.nextOffset) })),
  headers: [],
  timestamp: 0,
});

/** Keys of every note in the pipeline's meta topic. */
async function readNotes(ports: TakeoverPorts, meta: TopicName): Promise<Set<string>> {
  const [mark] = await ports.admin.watermarks(meta);
  const notes = new Set<string>();
  if (mark === undefined) return notes;
  const reader = ports.kafka.reader({ topic: meta, partition: 0, fromOffset: mark.low });
  try {
    for (let next = mark.low; next < mark.high;) {
      const { records, nextOffset } = await reader.read();
      for (const { key } of records) if (key !== null) notes.add(key.toString("utf8"));
      next = nextOffset;
    }
  } finally {
    await reader.close();
  }
  return notes;
}

/** The offset at which a first start begins. */
export async function startsOf(
  admin: AdminPort,
  start: TakeoverRequest["start"],
  partitions: readonly TopicPartition[],
): Promise<StartOffset[]> {
  const marks = await watermarksOf(admin, partitions);
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const timed =
    typeof start === "number"
      ? (await Promise.all(topics.map((topic) => admin.offsetsByTime(topic, start)))).flat()
      : [];
  return partitions.map(({ topic, partition }) => {
    const address = addressOf({ topic, partition });
    const mark = marks.get(address);
    const byTime = timed.find((offset) => addressOf(offset) === address)?.nextOffset;
    const nextOffset = byTime ?? (start === "latest" ? mark?.high : mark?.low) ?? 0n;
    return { topic, partition, nextOffset };
  });
}
