// Which broker leads what, asked of the cluster itself, past the proxies.
import { createRequire } from "node:module";
import { eventually } from "../../support/eventually.ts";
import type { World } from "./world.ts";

interface PartitionRole {
  readonly partitionId: number;
  readonly leader: number;
  readonly isr: readonly number[];
  readonly replicas: readonly number[];
}
interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  fetchTopicMetadata(what: { topics: string[] }): Promise<{
    topics: { name: string; partitions: PartitionRole[] }[];
  }>;
  describeCluster(): Promise<{ controller: number | null }>;
  createPartitions(what: { topicPartitions: { topic: string; count: number }[] }): Promise<boolean>;
  deleteGroups(groups: string[]): Promise<unknown>;
}
interface Driver {
  Kafka: new (options: object) => { admin(): Admin };
  logLevel: { NOTHING: number };
}

/** One conversation. The driver is loaded here, when the engine has loaded and corrected it. */
export async function asked<T>(world: World, work: (admin: Admin) => Promise<T>): Promise<T> {
  const { Kafka, logLevel } = createRequire(import.meta.url)("kafkajs") as Driver;
  const brokers = world.servers.cluster.awake;
  const options = { brokers, logLevel: logLevel.NOTHING, clientId: "chaos" };
  const timeouts = { connectionTimeout: 1_000, requestTimeout: 4_000, retry: { retries: 2 } };
  const admin = new Kafka({ ...options, ...timeouts }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const OFFSETS = "__consumer_offsets";
const TRANSACTIONS = "__transaction_state";

async function partitionsOf(world: World, topic: string): Promise<PartitionRole[]> {
  const found = await asked(world, (admin) => admin.fetchTopicMetadata({ topics: [topic] }));
  return found.topics[0]?.partitions ?? [];
}

/** Of the first partition of the input; a cluster in trouble is asked again. */
export const leaderOf = (world: World): Promise<number> =>
  eventually("a leader", () =>
    partitionsOf(world, world.app.orders.name)
      .then((all) => all.find(({ partitionId }) => partitionId === 0)?.leader ?? null)
      .then((leader) => (leader === -1 ? null : leader))
      .catch(() => null),
  );

/** The leader of the partition of Kafka's own topic that a name belongs to, by Java's hash of it. */
export async function coordinatorOf(world: World, of: "group" | "transactions"): Promise<number> {
  const name = world.checking.plan.parts[0]?.group ?? "";
  const all = await partitionsOf(world, of === "group" ? OFFSETS : TRANSACTIONS);
  const wanted = of === "group" ? Math.abs(javaHash(name)) % all.length : 0;
  return all.find(({ partitionId }) => partitionId === wanted)?.leader ?? 1;
}

export function javaHash(text: string): number {
  let hash = 0;
  for (const char of text) hash = (Math.imul(31, hash) + char.charCodeAt(0)) | 0;
  return hash;
}

export const controller = async (world: World): Promise<number> =>
  (await asked(world, (admin) => admin.describeCluster())).controller ?? 1;

/** Of each partition, Kafka's own topics for groups and transactions included; the least. */
export async function copiesOf(world: World): Promise<number> {
  const topics = [world.app.orders.name, world.checking.plan.meta, OFFSETS, TRANSACTIONS];
  const all = await Promise.all(topics.map((topic) => partitionsOf(world, topic)));
  return Math.min(...all.flat().map(({ replicas }) => replicas.length));
}

/** Until every copy of every partition is in step again: what comes next may strike another broker. */
export async function inSync(world: World): Promise<void> {
  const { app, checking, summing } = world;
  const own = [...checking.plan.topics.all, ...summing.plan.topics.all].map(({ name }) => name);
  const topics = [...new Set([app.orders.name, ...own, OFFSETS, TRANSACTIONS])];
  const look = async (): Promise<true | null> => {
    const found = await asked(world, (admin) => admin.fetchTopicMetadata({ topics }));
    const all = found.topics.flatMap(({ partitions }) => partitions);
    return all.every(({ isr, replicas, leader }) => leader > 0 && isr.length === replicas.length)
      ? true
      : null;
  };
  await eventually("every copy is in step", () => look().catch(() => null), 120_000);
}
