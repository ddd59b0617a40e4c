// The notes of a pipeline as an operator sees them: the newest record of each key, whether it can be read, and the last good
// one that the log still has. And their repair: the last good one is written again, or the note is taken away.
import { detailOf, type BatchError } from "../../core/errors.ts";
import { late } from "../../core/late-topics.ts";
import type { Plan } from "../../core/plan.ts";
import { readRange } from "../../core/read-range.ts";
import type { RawRecord, TopicName } from "../../core/record.ts";
import { sendOnce } from "../../core/send-once.ts";
import { batchKey, whenLost, wrongNote, type WhenLost } from "../../notes/kinds.ts";
import { noteRecord } from "../../notes/notes.ts";
import type { OperatePorts } from "../choice.ts";

export interface LoggedNote {
  readonly topic: TopicName;
  readonly key: string;
  /** The offset of the newest record, with the time that Kafka has for it. */
  readonly offset: bigint;
  readonly timestamp: number;
  /** The fault of the note; null: it is good. */
  readonly why: string | null;
  readonly lastGood: GoodNote | null;
  readonly whenLost: WhenLost;
}

/** A text of null is a note that was taken away. */
export interface GoodNote {
  readonly offset: bigint;
  readonly text: string | null;
}

/** The pipeline's notes and its letters' states, in the order of topic and key; without those that were taken away. */
export async function loggedNotes(
  plan: Pick<Plan, "meta" | "letterStates">,
  ports: Pick<OperatePorts, "kafka" | "admin">,
): Promise<readonly LoggedNote[]> {
  const found: LoggedNote[] = [];
  for (const topic of [plan.meta, plan.letterStates]) {
    const newest = await newestIn(topic, ports);
    const there = [...newest.values()].filter(
      ({ why, lastGood }) => why !== null || lastGood?.text !== null,
    );
    found.push(...there.sort((a, b) => (a.key < b.key ? -1 : 1)));
  }
  return found;
}

async function newestIn(
  topic: TopicName,
  ports: Pick<OperatePorts, "kafka" | "admin">,
): Promise<ReadonlyMap<string, LoggedNote>> {
  const newest = new Map<string, LoggedNote>();
  // Notes are in one partition; a topic that is made at its first use may be missing.
  const marks = await late(ports).admin.watermarks(topic);
  const mark = marks.find(({ partition }) => partition === 0);
  if (mark === undefined) return newest;
  const range = { topic, partition: 0, from: mark.low, to: mark.high };
  const onUnreadable = (error: BatchError): void => {
    const note = unreadableBatch(topic, error);
    newest.set(note.key, note);
  };
  for await (const { records } of readRange(ports.kafka, range, { onUnreadable }))
    for (const record of records) {
      const key = String(record.key);
      newest.set(key, loggedNote(record, newest.get(key)?.lastGood ?? null));
    }
  return newest;
}

/** The note that is written for it says that it is passed over. */
function unreadableBatch(topic: TopicName, error: BatchError): LoggedNote {
  const { offset = 0n } = error.where;
  const why = `${error.code}, ${detailOf(error)}`;
  const lastGood = { offset, text: "{}" };
  return { topic, key: batchKey(offset), offset, timestamp: 0, why, lastGood, whenLost: "stop" };
}

function loggedNote(record: RawRecord, before: GoodNote | null): LoggedNote {
  const { topic, offset, timestamp } = record;
  const key = String(record.key);
  const text = record.value?.toString("utf8") ?? null;
  const why = text === null ? null : wrongNote(key, text);
  const lastGood = why === null ? { offset, text } : before;
  return { topic, key, offset, timestamp, why, lastGood, whenLost: whenLost(key) };
}

const NOTES_A_SEND = 500;

/** Writes what `loggedNotes` has found last good. A key that says something good by now is left alone. Returns what it wrote. */
export async function repairNotes(
  plan: Plan,
  wrong: readonly LoggedNote[],
  ports: OperatePorts,
): Promise<readonly LoggedNote[]> {
  const now = new Map((await loggedNotes(plan, ports)).map((note) => [nameOf(note), note]));
  const still = wrong.filter((note) => now.get(nameOf(note))?.offset === note.offset);
  const records = still.map(({ topic, key, lastGood }) =>
    noteRecord(topic, key, lastGood?.text ?? null),
  );
  for (let at = 0; at < records.length; at += NOTES_A_SEND)
    await sendOnce(ports.kafka, records.slice(at, at + NOTES_A_SEND));
  return still;
}

const nameOf = ({ topic, key }: LoggedNote): string => `${topic} ${key}`;
