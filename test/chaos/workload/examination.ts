// The end of a flow: sentinels through every partition, no lag, nothing open, groups at rest, every figure exact, workers
// that drain.
import type { World } from "../world/world.ts";
import { Findings } from "./findings.ts";
import { judge, type Circumstances } from "./oracle.ts";
import type { TimedCounts } from "./timed.ts";

const RSS_MAX = 700_000_000;
const FILES_MAX = 250;

export interface Examination extends TimedCounts {
  readonly findings: Findings;
  readonly problems: readonly string[];
  readonly records: number;
  readonly letters: number;
  readonly seenByReader: number;
  /** Due entries that have fired. */
  readonly due: number;
  /** Windows that have closed. */
  readonly windows: number;
}

export async function examine(
  world: World,
  circumstances: () => Promise<Circumstances> = () => Promise.resolve({}),
): Promise<Examination> {
  const problems: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => problems.push(`${what}: ${String(error)}`));
  };
  await attempt("sentinels", () => world.traffic.sentinels());
  await attempt("feeder", () => world.traffic.feeder.stop());
  await attempt("drained", () => world.drained());
  await attempt("open transactions", async () => problems.push(...(await heldUp(world))));
  await attempt("groups", async () => problems.push(...(await restless(world))));
  await attempt("drain of workers", async () => problems.push(...(await world.crew.drain())));
  const { findings, ...counts } = await judge(world, await circumstances());
  const seenByReader = await world.watcher.compare(world.checking);
  findings.add(world.seen);
  problems.push(...findings.notes, ...outOfBounds(world));
  return { ...counts, findings, problems, seenByReader };
}

/** Ends a flow whose scenario was given up; nothing is found of it. */
export async function unexamined(world: World): Promise<Examination> {
  const quietly = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
  await quietly(world.traffic.feeder.stop());
  await quietly(world.crew.drain());
  const timed = { due: 0, windows: 0, pairs: 0, pauses: 0, late: 0 };
  const counts = { records: 0, letters: 0, seenByReader: 0, ...timed };
  return { findings: new Findings(), problems: [], ...counts };
}

/** Partitions in which a transaction is still open. */
async function heldUp({ checking, summing }: World): Promise<string[]> {
  const { kafka } = checking.clients;
  const topics = new Set(
    [checking, summing].flatMap(({ plan }) => plan.topics.all.map((t) => t.name)),
  );
  const found: string[] = [];
  for (const topic of topics)
    for (const { partition, high } of await checking.admin.watermarks(topic)) {
      const reader = kafka.reader({ topic, partition, fromOffset: high, maxWaitMs: 50 });
      const { lastStableOffset, highWatermark } = await reader.read();
      await reader.close();
      if (lastStableOffset < highWatermark) found.push(`${topic}-${String(partition)} is held up`);
    }
  return found;
}

async function restless({ checking, summing }: World): Promise<string[]> {
  const found: string[] = [];
  for (const { plan, admin } of [checking, summing])
    for (const { group } of plan.parts) {
      const { state } = await admin.describeGroup(group);
      if (state !== "Stable") found.push(`group ${group} is ${state}`);
    }
  return found;
}

function outOfBounds({ crew }: World): string[] {
  const { rssBytes, files } = crew.bounds;
  return [
    ...(rssBytes > RSS_MAX ? [`a worker had ${String(rssBytes)} bytes of memory`] : []),
    ...(files > FILES_MAX ? [`a worker had ${String(files)} open files`] : []),
  ];
}
