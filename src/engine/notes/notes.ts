// Notes of a pipeline about itself, in its compacted topic `<pipeline>-meta`: where each task began and in
// which topic, so that lost progress is not taken for a first start, nor a topic that was made anew for the old one; what
// each store was; and what has stopped (stop-notes.ts). Promises nothing about what follows from a note.
import type { StartOffset } from "../core/kafka.ts";
import { detailOf, type BatchError } from "../core/errors.ts";
import type { FlowStep } from "../core/flow-steps.ts";
import { parseKnown } from "../core/foreign.ts";
import { readRange, type ReadOptions, type TopicPorts } from "../core/read-range.ts";
import {
  addressOf,
  type GroupId,
  type OutRecord,
  type RawRecord,
  type TopicName,
  type TopicPartition,
} from "../core/record.ts";
import { isUnknown, type NoteFault, type Notes } from "./faults.ts";
import { batchKey, isBatchKey, noteChecks, whenLost, wrongNote } from "./kinds.ts";

/** The offset where the task of a partition began, or that a reset has set. */
export interface StartNote {
  readonly nextOffset: bigint;
  /** Null in notes of releases that did not know it. */
  readonly topicId: string | null;
  /** The partitions that the topic had then; the same. */
  readonly partitions: number | null;
}

export type { Notes } from "./faults.ts";

export const startKey = (group: GroupId, at: TopicPartition): string =>
  `start/${group}/${addressOf(at)}`;
const pieceKey = (group: GroupId, at: TopicPartition): string => `piece/${group}/${addressOf(at)}`;
const STORE = "store/";
export const storeKey = (store: string): string => `${STORE}${store}`;
/** The names of stores that there have been. */
export const storesIn = (notes: Notes): readonly string[] =>
  [...notes.keys()].filter((key) => key.startsWith(STORE)).map((key) => key.slice(STORE.length));

export const noteRecord = (meta: TopicName, key: string, value: string | null): OutRecord => ({
  topic: meta,
  partition: 0,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers: [],
  timestamp: 0,
});

export const startText = ({ nextOffset, topicId, partitions }: StartNote): string =>
  JSON.stringify({ nextOffset: String(nextOffset), topicId, partitions });

/** `topic`: the id and the partitions of the topic in which the task begins, as far as they are known. */
export const startRecord = (
  meta: TopicName,
  group: GroupId,
  start: StartOffset,
  { topicId, partitions }: Omit<StartNote, "nextOffset">,
): OutRecord => {
  const text = startText({ nextOffset: start.nextOffset, topicId, partitions });
  return noteRecord(meta, startKey(group, start), text);
};

/** Says that progress in this group is that of a piece which is named by its source, and not of a table of that name. */
export const pieceRecord = (meta: TopicName, group: GroupId, at: TopicPartition): OutRecord =>
  noteRecord(meta, pieceKey(group, at), "{}");

export const isPiece = (notes: Notes, group: GroupId, at: TopicPartition): boolean =>
  notes.has(pieceKey(group, at)) || isUnknown(notes, pieceKey(group, at));

/**
 * Null when the task has never begun. Of a note that cannot be read, and of which no good one is known, it is known that
 * the task began: that is what a note of an older release says too.
 */
export function startNote(notes: Notes, group: GroupId, at: TopicPartition): StartNote | null {
  const key = startKey(group, at);
  const text = notes.get(key);
  if (text === undefined) return isUnknown(notes, key) ? UNKNOWN_START : null;
  const { nextOffset, ...known } = parseKnown<
    Partial<Omit<StartNote, "nextOffset">> & { readonly nextOffset: string }
  >(text, noteChecks.start);
  return { ...UNKNOWN_START, ...known, nextOffset: BigInt(nextOffset) };
}

const UNKNOWN_START: StartNote = { nextOffset: 0n, topicId: null, partitions: null };

/** Whether the topic got this partition after the group had begun in it: its first record is one that the group waits for (B3). */
export function cameLater(
  notes: Notes,
  group: GroupId,
  { topic, partition }: TopicPartition,
): boolean {
  const before = Array.from({ length: partition }, (_, other) => ({ topic, partition: other }));
  // mistake: new partition from where the pipeline begins
  return before.some((at) => (startNote(notes, group, at)?.partitions ?? Infinity) <= partition);
}

const FLOW = "flow";

/** The way of records through the pipeline, for the readers of its topics. */
export const flowRecord = (meta: TopicName, steps: readonly FlowStep[]): OutRecord =>
  noteRecord(meta, FLOW, flowText(steps));

const flowText = (steps: readonly FlowStep[]): string => JSON.stringify({ steps });

/** As last noted; null when the pipeline has noted none. */
export function flowNote(notes: Notes): readonly FlowStep[] | null {
  const text = notes.get(FLOW);
  if (text === undefined) return null;
  return parseKnown<{ readonly steps: readonly FlowStep[] }>(text, noteChecks.flow).steps;
}

/** Every note as it is now; waits for what an open transaction is about to add. */
export const readNotes = (ports: TopicPorts, meta: TopicName): Promise<Notes> =>
  new NoteTail(ports, meta).look({ waits: true });

/** Notes for repeated looks: each look reads what has come since the last one. Looks run one at a time. */
export class NoteTail {
  readonly #ports: TopicPorts;
  readonly #meta: TopicName;
  readonly #notes = new CheckedNotes();
  /** Before every offset: nothing was read yet. */
  #next = -1n;

  constructor(ports: TopicPorts, meta: TopicName) {
    this.#ports = ports;
    this.#meta = meta;
  }

  /** With `waits`, everything is there that was acknowledged before the look; else what is not yet visible comes with a later one. */
  async look(options: ReadOptions = { waits: false }): Promise<Notes> {
    const [mark] = await this.#ports.admin.watermarks(this.#meta);
    const { low = 0n, high: to = 0n } = mark ?? {};
    if (this.#next < low || this.#next > to) {
      this.#notes.begin();
      this.#next = low;
    }
    const range = { topic: this.#meta, partition: 0, from: this.#next, to };
    const onUnreadable = (error: BatchError): void => this.#notes.addBatch(error);
    const reading = readRange(this.#ports.kafka, range, { ...options, onUnreadable });
    for await (const { records, nextOffset } of reading) {
      for (const record of records) this.#notes.add(record);
      this.#next = nextOffset;
    }
    if (this.#next >= to) this.#notes.end();
    return this.#notes;
  }
}

/** A record that is no note leaves what its key has said before. */
class CheckedNotes extends Map<string, string> {
  readonly faults: Map<string, NoteFault> = new Map();
  /** Keys that were read as deleted, until they say something. */
  readonly #deleted = new Set<string>();
  /** All that there was has been read once: from now on a key without a note has none. */
  #isWhole = false;

  /** The topic is read from its beginning, which compaction may have thinned out. */
  begin(): void {
    this.clear();
    this.faults.clear();
    this.#deleted.clear();
    this.#isWhole = false;
  }

  /** Its end was reached. */
  end(): void {
    this.#isWhole = true;
    if (this.#hidingBatch() === null) this.#deleted.clear();
  }

  /** Nobody knows of which keys it has notes. Who has read everything before it came has the last good ones. */
  addBatch(error: BatchError): void {
    const { topic = "", partition = 0, offset = 0n } = error.where;
    const key = batchKey(offset);
    const why = `${error.code}, ${detailOf(error)}`;
    this.faults.set(key, { topic, partition, offset, key, why, isCovered: this.#isWhole });
  }

  hiding(key: string): NoteFault | null {
    return this.has(key) || this.#deleted.has(key) ? null : this.#hidingBatch();
  }

  #hidingBatch(): NoteFault | null {
    for (const fault of this.faults.values())
      if (!fault.isCovered && isBatchKey(fault.key)) return fault;
    return null;
  }

  add({ topic, partition, offset, key: bytes, value }: RawRecord): void {
    const key = String(bytes);
    const text = value?.toString("utf8");
    const why = text === undefined ? null : wrongNote(key, text);
    if (why !== null) {
      const isCovered = whenLost(key) === "none" || this.#isKnown(key);
      this.faults.set(key, { topic, partition, offset, key, why, isCovered });
      return;
    }
    this.faults.delete(key);
    if (text === undefined) {
      this.delete(key);
      if (!this.#isWhole) this.#deleted.add(key);
      return;
    }
    this.#deleted.delete(key);
    this.set(key, text);
  }

  /** Whether the log, or what was read before, shows what the key said: also that it said nothing. */
  #isKnown(key: string): boolean {
    if (this.#isWhole) return this.faults.get(key)?.isCovered !== false;
    return this.has(key) || this.#deleted.has(key);
  }
}

/**
 * Notes of one group as a worker that is a member of it knows them: nobody else changes them while the group has members.
 * A note that seems to forbid something is read again before it is believed.
 */
export class NoteBook {
  readonly #ports: TopicPorts;
  readonly #meta: TopicName;
  #notes: Promise<Notes> | null = null;

  constructor(ports: TopicPorts, meta: TopicName) {
    this.#ports = ports;
    this.#meta = meta;
  }

  get isRead(): boolean {
    return this.#notes !== null;
  }

  read(): Promise<Notes> {
    this.#notes ??= readNotes(this.#ports, this.#meta).catch((error: unknown) => {
      this.#notes = null;
      throw error;
    });
    return this.#notes;
  }

  /** The next `read` asks Kafka. */
  forget(): void {
    this.#notes = null;
  }
}
