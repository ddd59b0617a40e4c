// Puts a recording into fresh servers by their own interfaces, so that every record lies at the offset where it lay. Each
// transaction of a partition is sent as one of its own and ended as it was ended: its marker takes the offset that it took.
// What depends on the servers is put right: ids of topics, which notes and progress name, and the times of changelogs, which
// copies in Redis name too; they move by the age of the recording, so that it is as fresh as when it was taken.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import pg from "pg";
import { readTopic } from "../../src/data/read.ts";
import type {
  AdminPort,
  KafkaPort,
  ReaderOptions,
  TxProducer,
} from "../../src/engine/core/kafka.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { AppFigures } from "../support/app-figures.ts";
import { eventually } from "../support/eventually.ts";
import { pipelines } from "./app.ts";
import {
  bytesOf,
  type KeptBatch,
  type KeptPartition,
  type KeptTopic,
  type Recording,
} from "./recording.ts";

type Env = Readonly<Record<string, string>>;

export async function load(recording: Recording, env: Env): Promise<void> {
  const [pipeline] = pipelines;
  assert.ok(pipeline !== undefined);
  const figures = new AppFigures(pipeline.plan(), env);
  try {
    const { kafka, registry } = figures.clients;
    for (const { id, subject, schema } of recording.schemas)
      assert.equal(await registry.register(subject, schema), id, subject);
    const ids = await makeTopics(recording.topics, figures.admin);
    const loading = { kafka, ids, olderMs: Date.now() - recording.takenMs };
    await Promise.all(recording.topics.map((topic) => fill(topic, loading)));
    await loadOffsets(recording, figures.admin);
    await loadRedis(recording, env["REDIS_URL"] ?? "", loading.olderMs);
    await loadPostgres(recording, env["DATABASE_URL"] ?? "", ids);
    for (const topic of recording.topics) await checkPlaces(topic, figures);
  } finally {
    await figures.close();
  }
}

interface Loading {
  readonly kafka: KafkaPort;
  /** Ids of the recorded topics to those of the new ones. */
  readonly ids: ReadonlyMap<string, string>;
  readonly olderMs: number;
}

async function makeTopics(
  topics: readonly KeptTopic[],
  admin: AdminPort,
): Promise<Map<string, string>> {
  const names = topics.map(({ name }) => name);
  await admin.createTopics(
    topics.map(({ name, partitions, config }) => ({
      ...{ topic: name, partitions: partitions.length, replicationFactor: 1, config },
    })),
  );
  const described = await admin.describeTopics(names);
  return new Map(topics.map(({ name, id }) => [id, described.get(name)?.id ?? ""]));
}

const withIds = (text: string, ids: ReadonlyMap<string, string>): string =>
  [...ids].reduce((all, [before, now]) => all.replaceAll(before, now), text);

async function fill(topic: KeptTopic, loading: Loading): Promise<void> {
  const indexes = topic.partitions.keys();
  await Promise.all([...indexes].map((partition) => fillPartition(topic, partition, loading)));
  await purge(topic, loading.kafka);
}

/** Records below the start of the log; a compacted topic lets none be deleted. */
async function purge({ name, config, partitions }: KeptTopic, kafka: KafkaPort): Promise<void> {
  const below = partitions.flatMap(({ low }, partition) =>
    low === 0 ? [] : [{ topic: name, partition, nextOffset: BigInt(low) }],
  );
  if (below.length === 0) return;
  const admin = kafka.admin();
  const policy = config["cleanup.policy"] ?? "delete";
  await admin.alterTopicConfig(name, { "cleanup.policy": "delete", "retention.ms": "-1" });
  // A broker goes by the new policy a moment later.
  await eventually(`records of ${name} are deleted`, () =>
    admin.deleteRecords(below).then(
      () => true,
      () => null,
    ),
  );
  await admin.alterTopicConfig(name, {
    "cleanup.policy": policy,
    "retention.ms": config["retention.ms"] ?? "604800000",
  });
  await admin.close();
}

async function fillPartition(topic: KeptTopic, partition: number, loading: Loading): Promise<void> {
  const { kafka } = loading;
  const { entries, low } = topic.partitions[partition] as KeptPartition;
  const producers = new Map<number, TxProducer>();
  const plain = kafka.producer();
  const transactional = async (id: number): Promise<TxProducer> => {
    const transactionalId = `load-${topic.name}-${String(partition)}-${String(id)}`;
    const made = producers.get(id) ?? kafka.txProducer({ transactionalId, timeoutMs: 60_000 });
    if (made.state === "new") await made.init();
    producers.set(id, made);
    return made;
  };
  const first = entries[0]?.offset ?? low;
  // Segments below were deleted: the places are taken by records that nobody will read.
  await plain.send(Array.from({ length: first }, () => filler(topic.name, partition)));
  for (const entry of entries) {
    if ("ends" in entry) {
      const producer = await transactional(entry.producer);
      if (producer.state === "open") await producer[entry.ends]();
      await markerOf(kafka, { topic: topic.name, partition, fromOffset: BigInt(entry.offset) });
    } else if (entry.producer === null)
      await plain.send(recordsOf(entry, { topic, partition }, loading));
    else {
      const producer = await transactional(entry.producer);
      if (producer.state === "ready") producer.begin();
      await producer.send(recordsOf(entry, { topic, partition }, loading));
    }
  }
  await Promise.all([plain, ...producers.values()].map((producer) => producer.close()));
}

/** A transaction is decided before its markers are written. */
async function markerOf(kafka: KafkaPort, at: ReaderOptions): Promise<void> {
  const reader = kafka.reader({ ...at, maxWaitMs: 5 });
  const name = `the marker at ${at.topic}-${String(at.partition)}:${String(at.fromOffset)}`;
  const isThere = async () => (await reader.read()).highWatermark > at.fromOffset || null;
  await eventually(name, isThere);
  await reader.close();
}

const filler = (topic: string, partition: number): OutRecord => ({
  ...{
    topic,
    partition,
    key: Buffer.from("filler"),
    value: null,
    headers: [],
    timestamp: Date.now(),
  },
});

function recordsOf(
  { records }: KeptBatch,
  { topic, partition }: { readonly topic: KeptTopic; readonly partition: number },
  { ids, olderMs }: Loading,
): OutRecord[] {
  const isNotes = topic.name.endsWith("-meta");
  const laterMs = topic.name.endsWith("-changelog") ? olderMs : 0;
  return records.map(([timestamp, key, value, headers]) => ({
    topic: topic.name,
    partition,
    key: bytesOf(key),
    value:
      isNotes && value !== null
        ? Buffer.from(withIds(String(bytesOf(value)), ids))
        : bytesOf(value),
    headers: headers.map(([name, bytes]) => [name, bytesOf(bytes)] as const),
    timestamp: timestamp + laterMs,
  }));
}

async function loadOffsets({ offsets }: Recording, admin: AdminPort): Promise<void> {
  for (const group of new Set(offsets.map((one) => one.group))) {
    const own = offsets.filter((one) => one.group === group);
    await admin.commitOffsets(
      group,
      own.map(({ topic, partition, nextOffset, metadata }) => ({
        ...{ topic, partition, nextOffset: BigInt(nextOffset), metadata },
      })),
    );
  }
}

/** The field of a copy that has the time of its position (docs/state.md). */
const TIME_FIELD = "\0t";

async function loadRedis({ redis }: Recording, url: string, olderMs: number): Promise<void> {
  const client = new Redis(url);
  try {
    for (const { key, fields } of redis) {
      const flat = fields.flatMap(([field, value]) => {
        const name = Buffer.from(field, "base64");
        const bytes = Buffer.from(value, "base64");
        const isTime = name.toString("latin1") === TIME_FIELD;
        return [name, isTime ? Buffer.from(String(Number(bytes) + olderMs)) : bytes];
      });
      await client.hset(key, ...flat);
    }
  } finally {
    client.disconnect();
  }
}

async function loadPostgres(
  { postgres }: Recording,
  url: string,
  ids: ReadonlyMap<string, string>,
): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of postgres) await client.query(withIds(statement, ids));
  } finally {
    await client.end();
  }
}

/** Offset by offset: a place off by one would be another changelog. */
async function checkPlaces(topic: KeptTopic, figures: AppFigures): Promise<void> {
  const ends = await figures.admin.watermarks(topic.name);
  for (const [partition, { entries, low }] of topic.partitions.entries()) {
    const at = ends.find((one) => one.partition === partition);
    const last = entries.at(-1);
    const end =
      last === undefined ? low : last.offset + ("records" in last ? last.records.length : 1);
    assert.equal(Number(at?.low), low, `${topic.name}-${String(partition)} begins`);
    assert.equal(Number(at?.high), end, `${topic.name}-${String(partition)} ends`);
  }
  const request = {
    topic: topic.name,
    partition: null,
    from: { kind: "earliest" },
    isFollowing: false,
  } as const;
  const found: string[] = [];
  for await (const batch of readTopic(figures.clients.kafka, request))
    for (const { partition, offset, key } of batch)
      found.push(`${String(partition)} ${String(offset)} ${key?.toString("base64") ?? "-"}`);
  assert.deepEqual(found.sort(), committedIn(topic).sort(), topic.name);
}

function committedIn({ partitions }: KeptTopic): string[] {
  return partitions.flatMap(({ entries, low }, partition) => {
    const kept: string[] = [];
    const open = new Map<number, string[]>();
    for (const entry of entries)
      if ("ends" in entry) {
        if (entry.ends === "commit") kept.push(...(open.get(entry.producer) ?? []));
        open.delete(entry.producer);
      } else {
        const texts = entry.records.flatMap(([, key], i) =>
          entry.offset + i < low
            ? []
            : [`${String(partition)} ${String(entry.offset + i)} ${key ?? "-"}`],
        );
        if (entry.producer === null) kept.push(...texts);
        else open.set(entry.producer, [...(open.get(entry.producer) ?? []), ...texts]);
      }
    return kept;
  });
}
