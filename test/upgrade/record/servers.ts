// Everything that lies in the servers, gathered when nobody works any more.
import { join } from "node:path";
import { Redis } from "ioredis";
import { eventually } from "../../support/eventually.ts";
import type { AppFigures } from "../../support/app-figures.ts";
import type { KeptHash, KeptOffset, KeptTopic, Recording } from "../recording.ts";
import { keptPartition } from "./log-segments.ts";

export interface TopicFacts extends Omit<KeptTopic, "partitions"> {
  readonly lows: readonly number[];
}

/** A topic that nobody configures says what is the broker's own. */
const PLAIN = "recording-plain";

export async function topicsIn({ admin, clients }: AppFigures): Promise<TopicFacts[]> {
  await admin.createTopics([{ topic: PLAIN, partitions: 1, replicationFactor: 1, config: {} }]);
  const names = (await admin.listTopics()).filter((name) => !name.startsWith("__"));
  const described = await admin.describeTopics(names);
  const plain = described.get(PLAIN)?.config ?? {};
  await admin.deleteTopics([PLAIN]);
  const facts: TopicFacts[] = [];
  for (const name of names.filter((one) => one !== PLAIN).sort()) {
    const { id, config } = described.get(name) ?? { id: "", config: {} };
    const own = Object.entries(config).filter(([option, value]) => plain[option] !== value);
    const ends = await admin.watermarks(name);
    const lows = [...ends].sort((a, b) => a.partition - b.partition).map(({ low }) => Number(low));
    facts.push({ name, id, config: Object.fromEntries(own), lows });
    for (const { partition, low, high } of ends) {
      if (low === high) continue;
      // A dead worker's transaction ends when its time is over.
      const reader = clients.kafka.reader({
        topic: name,
        partition,
        fromOffset: high - 1n,
        maxWaitMs: 50,
      });
      const isStable = async () => (await reader.read()).lastStableOffset >= high || null;
      await eventually(`${name} has no open transaction`, isStable, 180_000);
      await reader.close();
    }
  }
  return facts;
}

export async function offsetsIn(
  { admin }: AppFigures,
  topics: readonly TopicFacts[],
): Promise<KeptOffset[]> {
  const all = topics.flatMap(({ name, lows }) =>
    lows.map((_, partition) => ({ topic: name, partition })),
  );
  const kept: KeptOffset[] = [];
  for (const group of [...(await admin.listGroups())].sort())
    for (const at of await admin.committed(group, all, { stable: true })) {
      const { topic, partition, nextOffset, metadata } = at;
      if (nextOffset !== null)
        kept.push({ group, topic, partition, nextOffset: Number(nextOffset), metadata });
    }
  return kept;
}

/** Of a broker that has stopped. */
export const logsIn = (dataDir: string, topics: readonly TopicFacts[]): KeptTopic[] =>
  topics.map(({ lows, ...topic }) => ({
    ...topic,
    partitions: lows.map((low, partition) =>
      keptPartition(dataDir, topic.name, { partition, low }),
    ),
  }));

export const dataDirOf = (stackDir: string): string => join(stackDir, "kafka", "data");

export async function schemasIn(url: string): Promise<Recording["schemas"]> {
  const ask = async <T>(path: string): Promise<T> =>
    (await (await fetch(`${url}${path}`)).json()) as T;
  const found: { id: number; subject: string; schema: string }[] = [];
  for (const subject of await ask<string[]>("/subjects"))
    for (const version of await ask<number[]>(`/subjects/${subject}/versions`))
      found.push(await ask(`/subjects/${subject}/versions/${String(version)}`));
  return found
    .map(({ id, subject, schema }) => ({ id, subject, schema }))
    .sort((a, b) => a.id - b.id);
}

export async function hashesIn(url: string): Promise<KeptHash[]> {
  const redis = new Redis(url);
  try {
    const hashes: KeptHash[] = [];
    for (const key of (await redis.keys("*")).sort()) {
      const type = await redis.type(key);
      if (type !== "hash" || (await redis.pttl(key)) !== -1) throw new Error(`${key}: a ${type}`);
      const fields = Object.entries(await redis.hgetallBuffer(key));
      hashes.push({ key, fields: await bytesOfFields(redis, key, fields.length) });
    }
    return hashes;
  } finally {
    redis.disconnect();
  }
}

/** Fields are bytes, which an object's names are not. */
async function bytesOfFields(
  redis: Redis,
  key: string,
  count: number,
): Promise<KeptHash["fields"]> {
  const flat = (await redis.callBuffer("HGETALL", key)) as Buffer[];
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2)
    pairs.push([
      (flat[i] as Buffer).toString("base64"),
      (flat[i + 1] as Buffer).toString("base64"),
    ]);
  if (pairs.length < count) throw new Error(`${key}: fields are missing`);
  return pairs;
}
