// Whether a sink task may go on where its database says: in the topic in which it began, and only where the log has the
// record that is next. The progress row alone says where that is.
import type { AdminPort, PlainProducer, StartOffset } from "../core/kafka.ts";
import { watermarksOf } from "../core/read-range.ts";
import { addressOf, type GroupId, type TopicName } from "../core/record.ts";
import { startNote, startRecord, type NoteBook } from "../notes/notes.ts";
import {
  offsetGone,
  partitionsChanged,
  progressLost,
  topicRecreated,
  type PartFacts,
} from "../notes/stops.ts";

interface SinkStartPorts {
  readonly admin: AdminPort;
  readonly notes: NoteBook;
  readonly producer: PlainProducer;
}

export interface SinkStart {
  readonly part: PartFacts;
  readonly group: GroupId;
  readonly meta: TopicName;
  readonly start: StartOffset;
  /** The progress row was made just now. */
  readonly isFirst: boolean;
}

/** 1 its topic has the declared shape · 2 it is the one in which the task began · 3 the log has what is next. Throws why not. */
export async function checkSinkStart(ports: SinkStartPorts, request: SinkStart): Promise<void> {
  const { part, start } = request;
  // 1
  const described = await ports.admin.describeTopics([start.topic]);
  const topic = described.get(start.topic) ?? null;
  const changed = partitionsChanged(part, start, topic);
  if (changed !== null) throw changed;
  // 2
  if (topic !== null) await checkTopic(ports, request, topic.id);
  // 3
  const marks = await watermarksOf(ports.admin, [start.topic]);
  const gone = offsetGone(part, start, marks.get(addressOf(start)));
  if (gone !== null) throw gone;
}

async function checkTopic(
  { notes, producer }: SinkStartPorts,
  { part, group, meta, start, isFirst }: SinkStart,
  id: string,
): Promise<void> {
  const idIn = async (): Promise<string | null> =>
    startNote(await notes.read(), group, start)?.topicId ?? null;
  const wasRead = notes.isRead;
  let noted = await idIn();
  if (noted !== id && wasRead) {
    notes.forget();
    noted = await idIn();
  }
  if (noted === id) return;
  if (noted !== null && !isFirst) throw topicRecreated(part, start);
  // The start of a task that an older release began is not known.
  const begun = isFirst ? start : { ...start, nextOffset: 0n };
  const { partitions } = part;
  await producer.send([startRecord(meta, group, begun, { topicId: id, partitions })]);
  notes.forget();
}

/**
 * A progress row that is about to be made. Throws MILL_SOURCE_PROGRESS_LOST when the task has begun before, in this same
 * topic, at a lower offset: the row was lost with the database, and what lies between may be missing in the table.
 */
export async function checkFirstStart(
  { admin, notes }: Pick<SinkStartPorts, "admin" | "notes">,
  { part, group, start }: Pick<SinkStart, "part" | "group" | "start">,
): Promise<void> {
  notes.forget();
  const note = startNote(await notes.read(), group, start);
  if (note === null || start.nextOffset <= note.nextOffset) return;
  const described = await admin.describeTopics([start.topic]);
  if (note.topicId === null || note.topicId === described.get(start.topic)?.id)
    throw progressLost(part, start);
}
