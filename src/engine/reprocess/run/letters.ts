// Dead letters of the live pipeline as the input of a run: each once, as the record that failed, into the run's copy of the
// topic that it came from; one that failed behind a topic of the pipeline's own goes into the run's.
import type { PlainProducer } from "../../core/kafka.ts";
import type { Plan } from "../../core/plan.ts";
import { headerText, type OutRecord, type RawRecord, type TopicName } from "../../core/record.ts";
import { readNotes } from "../../source/notes.ts";
import { changesFrom } from "../../state/follow.ts";
import type { ReprocessPorts } from "../ports.ts";

const SEND_RECORDS = 1_000;

interface Letter {
  readonly topic: TopicName;
  readonly partition: number;
  readonly offset: bigint;
  readonly record: OutRecord;
}

/** Returns how many were sent. Letters that were resolved or discarded stay where they are. */
export async function fillFromLetters(
  plan: Plan,
  shadow: Plan,
  ports: ReprocessPorts,
): Promise<number> {
  const letters = [...(await openLetters(plan, ports)).values()]
    .filter(({ topic }) => twinOf(plan, shadow, topic) !== null)
    .sort((a, b) => (a.offset < b.offset ? -1 : 1));
  const records = letters.map(({ topic, record }) => ({
    ...record,
    topic: twinOf(plan, shadow, topic) ?? topic,
  }));
  const producer = ports.kafka.producer();
  try {
    await sendAll(records, producer);
  } finally {
    await producer.close();
  }
  return records.length;
}

async function sendAll(records: readonly OutRecord[], producer: PlainProducer): Promise<void> {
  for (let at = 0; at < records.length; at += SEND_RECORDS)
    await producer.send(records.slice(at, at + SEND_RECORDS));
}

/** The run's name of a topic that a part reads; null for one that no part reads any more. */
function twinOf(plan: Plan, shadow: Plan, topic: TopicName): TopicName | null {
  for (const [i, part] of plan.parts.entries()) {
    const at = part.sources.findIndex(({ name }) => name === topic);
    if (at >= 0) return shadow.parts[i]?.sources[at]?.name ?? null;
  }
  return null;
}

async function openLetters(
  plan: Plan,
  ports: ReprocessPorts,
): Promise<ReadonlyMap<string, Letter>> {
  const settled = await settledIds(plan, ports);
  const found = new Map<string, Letter>();
  const { signal } = new AbortController();
  for (const { partition, low, high } of await ports.admin.watermarks(plan.deadLetters)) {
    const changelog = { topic: plan.deadLetters, partition };
    for await (const { records } of changesFrom(
      { kafka: ports.kafka, changelog, signal },
      low,
      high,
    ))
      for (const raw of records) {
        const id = headerText(raw.headers, "dlq.id");
        const letter = letterOf(raw);
        if (id !== null && letter !== null && !settled.has(id)) found.set(id, letter);
      }
  }
  return found;
}

/** Null for a record that no task has written. */
function letterOf(raw: RawRecord): Letter | null {
  const say = (name: string): string => headerText(raw.headers, `dlq.${name}`) ?? "";
  const [topic, partition, offset] = [say("topic"), say("partition"), say("offset")];
  if (topic === "" || !/^\d{1,10}$/.test(partition) || !/^\d{1,19}$/.test(offset)) return null;
  const at = { topic, partition: Number(partition), offset: BigInt(offset) };
  const headers = raw.headers
    .filter(([name]) => !name.startsWith("dlq."))
    .map(([name, value]) => [name, copyOf(value)] as const);
  const [key, value] = [copyOf(raw.key), copyOf(raw.value)];
  const timestamp = Number(say("timestamp"));
  return { ...at, record: { topic, partition: at.partition, key, value, headers, timestamp } };
}

/** Without the rest of the fetch that it is a slice of. */
const copyOf = (bytes: Buffer | null): Buffer | null =>
  bytes === null ? null : Buffer.from(bytes);

/** Ids that the topic of letter states calls resolved or discarded; none where there is no such topic. */
async function settledIds(plan: Plan, ports: ReprocessPorts): Promise<ReadonlySet<string>> {
  const topic = `${plan.namespace}${plan.pipeline}-letter-states`;
  const known = (await ports.admin.describeTopics([topic])).get(topic) ?? null;
  if (known === null) return new Set();
  const settled = [...(await readNotes(ports, topic))].filter(([, text]) =>
    /"state":"(resolved|discarded)"/.test(text),
  );
  return new Set(settled.map(([key]) => key.slice(key.lastIndexOf("/") + 1)));
}
