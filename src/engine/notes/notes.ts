// What a pipeline has written down about itself in its compacted topic `<pipeline>-meta`: where each task began and in
// which topic, so that lost progress is not taken for a first start, nor a topic that was made anew for the old one; what
// each store was; and what has stopped (stop-notes.ts). Promises nothing about what follows from a note.
import type { AdminPort, KafkaPort, StartOffset } from "../core/kafka.ts";
import { readRange, type OffsetRange, type ReadOptions } from "../core/read-range.ts";
import {
  addressOf,
  type GroupId,
  type OutRecord,
  type TopicName,
  type TopicPartition,
} from "../core/record.ts";

/** Where the task of a partition began, or was put by a reset. */
export interface StartNote {
  readonly nextOffset: bigint;
  /** Null in notes of releases that did not know it. */
  readonly topicId: string | null;
}

export type Notes = ReadonlyMap<string, string>;

export interface NotePorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: Pick<AdminPort, "watermarks">;
}

export const startKey = (group: GroupId, at: TopicPartition): string =>
  `start/${group}/${addressOf(at)}`;
const pieceKey = (group: GroupId, at: TopicPartition): string => `piece/${group}/${addressOf(at)}`;
export const storeKey = (store: string): string => `store/${store}`;

export const noteRecord = (meta: TopicName, key: string, value: string | null): OutRecord => ({
  topic: meta,
  partition: 0,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers: [],
  timestamp: 0,
});

export const startText = ({ nextOffset, topicId }: StartNote): string =>
  JSON.stringify({ nextOffset: String(nextOffset), topicId });

export const startRecord = (
  meta: TopicName,
  group: GroupId,
  start: StartOffset,
  topicId: string | null,
): OutRecord => {
  const text = startText({ nextOffset: start.nextOffset, topicId });
  return noteRecord(meta, startKey(group, start), text);
};

/** Says that progress in this group is that of a piece which is named by its source, and not of a table of that name. */
export const pieceRecord = (meta: TopicName, group: GroupId, at: TopicPartition): OutRecord =>
  noteRecord(meta, pieceKey(group, at), "{}");

export const isPiece = (notes: Notes, group: GroupId, at: TopicPartition): boolean =>
  notes.has(pieceKey(group, at));

/** Null when the task has never begun. */
export function startNote(notes: Notes, group: GroupId, at: TopicPartition): StartNote | null {
  const text = notes.get(startKey(group, at));
  if (text === undefined) return null;
  const { nextOffset, topicId = null } = JSON.parse(text) as {
    nextOffset: string;
    topicId?: string | null;
  };
  return { nextOffset: BigInt(nextOffset), topicId };
}

/** Every note as it is now; waits for what an open transaction is about to add. */
export async function readNotes(ports: NotePorts, meta: TopicName): Promise<Notes> {
  const [mark] = await ports.admin.watermarks(meta);
  const notes = new Map<string, string>();
  const { low: from = 0n, high: to = 0n } = mark ?? {};
  await readInto(notes, ports, { topic: meta, partition: 0, from, to }, { waits: true });
  return notes;
}

/** Returns the offset to read on from. */
async function readInto(
  notes: Map<string, string>,
  { kafka }: NotePorts,
  range: OffsetRange,
  options: ReadOptions,
): Promise<bigint> {
  let next = range.from;
  for await (const { records, nextOffset } of readRange(kafka, range, options)) {
    for (const { key, value } of records)
      if (value === null) notes.delete(String(key));
      else notes.set(String(key), value.toString("utf8"));
    next = nextOffset;
  }
  return next;
}

/** The notes for somebody who looks now and then: each look reads what has come since the last one. One at a time. */
export class NoteTail {
  readonly #ports: NotePorts;
  readonly #meta: TopicName;
  readonly #notes = new Map<string, string>();
  #next: bigint | null = null;

  constructor(ports: NotePorts, meta: TopicName) {
    this.#ports = ports;
    this.#meta = meta;
  }

  /** With `waits`, everything is there that was acknowledged before the look; else what is not yet visible comes with a later one. */
  async look(options: ReadOptions = { waits: false }): Promise<Notes> {
    const [mark] = await this.#ports.admin.watermarks(this.#meta);
    const { low = 0n, high: to = 0n } = mark ?? {};
    let from = this.#next ?? low;
    if (this.#next === null || from < low || from > to) {
      this.#notes.clear();
      from = low;
    }
    const range = { topic: this.#meta, partition: 0, from, to };
    this.#next = await readInto(this.#notes, this.#ports, range, options);
    return this.#notes;
  }
}

/**
 * Notes of one group as a worker that is a member of it knows them: nobody else changes them while the group has members.
 * What they seem to forbid is read again before it is believed.
 */
export class NoteBook {
  readonly #ports: NotePorts;
  readonly #meta: TopicName;
  #notes: Promise<Notes> | null = null;

  constructor(ports: NotePorts, meta: TopicName) {
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
