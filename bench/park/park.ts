// What a failing key costs the others: the time from the timestamp of a record to the moment at which a committed reader
// has its result, for keys whose calls answer: with no failures, with the failing key parked, and with retries in place.
import { setTimeout as delay } from "node:timers/promises";
import type { PartitionReader } from "../../src/engine/core/kafka.ts";
import { partitionOf, type RawRecord } from "../../src/engine/core/record.ts";
import { startProgram, type Run } from "../contestant.ts";
import { millraceCommand } from "../millrace.ts";
import { PARTITIONS } from "../pipelines/payments.ts";
import { openWorld, type World } from "../world.ts";

export interface ParkOptions {
  readonly seconds: number;
  readonly rate: number;
  /** Each way once, in an order that alternates; the calmest one is shown. */
  readonly rounds: number;
}

export interface Latency {
  readonly records: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Of keys whose calls answer: in the partition of the failing key, and in the others, which share the machine's mood. */
export interface ParkFigures {
  readonly name: string;
  readonly beside: Latency;
  readonly elsewhere: Latency;
}

interface Way {
  readonly name: string;
  readonly retry: "park-key" | "block";
  /** One record of the failing key in so many; 0 is none. */
  readonly failingEvery: number;
}

const FAILING = "failing";
const FAILING_PARTITION = partitionOf(Buffer.from(FAILING), PARTITIONS, 0);
const KEYS = 1_000;
const WARM_UP_MS = 5_000;
const TICK_MS = 20;
const SILENCE_MS_MAX = 120_000;

const ways: readonly Way[] = [
  { name: "no failures", retry: "park-key", failingEvery: 0 },
  { name: "park-key", retry: "park-key", failingEvery: 1_000 },
  { name: "block", retry: "block", failingEvery: 1_000 },
];

export async function benchPark(
  options: ParkOptions,
  say: (line: string) => void,
): Promise<readonly ParkFigures[]> {
  const world = await openWorld(say);
  try {
    const figures: ParkFigures[] = [];
    for (let round = 1; round <= options.rounds; round++)
      for (const way of round % 2 === 1 ? ways : ways.toReversed()) {
        const id = `park${String(figures.length)}`;
        const one = await oneWay(world, { way, id }, options);
        say(`round ${String(round)}\n${parkText([one])}`);
        figures.push(one);
      }
    return ways.map(({ name }) => calmest(figures.filter((one) => one.name === name)));
  } finally {
    await world.close();
  }
}

/** By the partitions in which nothing ever fails. */
const calmest = (rounds: readonly ParkFigures[]): ParkFigures =>
  rounds.toSorted((a, b) => a.elsewhere.p99Ms - b.elsewhere.p99Ms)[0] as ParkFigures;

async function oneWay(
  world: World,
  { way, id }: { readonly way: Way; readonly id: string },
  options: ParkOptions,
): Promise<ParkFigures> {
  const [topic, output] = [`${id}-input`, `${id}-output`];
  const spec = { partitions: PARTITIONS, replicationFactor: -1, config: {} };
  await world.admin.createTopics([topic, output].map((name) => ({ topic: name, ...spec })));
  const input = { topic, records: 0, valueBytes: 0, sums: new Map<string, number>() };
  const run: Run = { world, workload: "call", input, id, output };
  const settings = { BENCH_RETRY: way.retry };
  const running = startProgram(run, await millraceCommand(run, { workers: 1, settings }));
  const end = new AbortController();
  const results = new Results();
  const reading = Promise.all(
    Array.from({ length: PARTITIONS }, (_, partition) =>
      readAll(
        world.kafka.reader({ topic: output, partition, fromOffset: 0n, maxWaitMs: 20 }),
        results,
        end.signal,
      ),
    ),
  );
  try {
    const sent = await sendAtRate(run, way, options);
    const giveUp = performance.now() + SILENCE_MS_MAX;
    while (results.count < sent) {
      if (!running.isAlive() || performance.now() > giveUp)
        throw new Error(`${String(results.count)} of ${String(sent)} came: ${running.story()}`);
      await delay(TICK_MS);
    }
    return results.figures(way.name);
  } finally {
    end.abort();
    await reading;
    await running.stop();
  }
}

/** Every result of the run is waited for; those of the warm-up and of the failing key are not measured. */
class Results {
  count = 0;
  readonly #beside: number[] = [];
  readonly #elsewhere: number[] = [];

  add({ partition, key, value, timestamp }: RawRecord): void {
    this.count++;
    const { id } = JSON.parse(String(value)) as { id: number };
    if (id < 0 || String(key) === FAILING) return;
    (partition === FAILING_PARTITION ? this.#beside : this.#elsewhere).push(Date.now() - timestamp);
  }

  figures(name: string): ParkFigures {
    return { name, beside: latencyOf(this.#beside), elsewhere: latencyOf(this.#elsewhere) };
  }
}

function latencyOf(all: readonly number[]): Latency {
  const ms = all.toSorted((a, b) => a - b);
  const at = (share: number): number => ms[Math.ceil(share * ms.length) - 1] ?? 0;
  return { records: ms.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

async function readAll(reader: PartitionReader, results: Results, end: AbortSignal): Promise<void> {
  try {
    while (!end.aborted) for (const record of (await reader.read()).records) results.add(record);
  } finally {
    await reader.close();
  }
}

/** Ids of the warm-up are below 0. Returns how many were sent. */
async function sendAtRate(
  { world, input: { topic } }: Run,
  { failingEvery }: Way,
  { seconds, rate }: ParkOptions,
): Promise<number> {
  const producer = world.kafka.producer();
  const startedMs = performance.now();
  const warmUp = Math.round((WARM_UP_MS / 1_000) * rate);
  const all = warmUp + seconds * rate;
  for (let sent = 0; sent < all; await delay(TICK_MS)) {
    const due = Math.min(all, Math.floor(((performance.now() - startedMs) / 1_000) * rate));
    const records = Array.from({ length: Math.max(0, due - sent) }, (_, i) => {
      const n = sent + i;
      const isFailing = failingEvery > 0 && n > warmUp && n % failingEvery === 0;
      const key = Buffer.from(isFailing ? FAILING : `k${String(n % KEYS)}`);
      const value = Buffer.from(JSON.stringify({ id: n - warmUp, amount: 1, items: 2 }));
      const partition = partitionOf(key, PARTITIONS, 0);
      return { topic, partition, key, value, headers: [], timestamp: Date.now() };
    });
    sent += records.length;
    if (records.length > 0) await producer.send(records);
  }
  await producer.close();
  return all;
}

export function parkText(figures: readonly ParkFigures[]): string {
  const cell = (value: string | number, width: number): string =>
    (typeof value === "number" ? value.toLocaleString("en") : value).padStart(width);
  const lines = figures.flatMap(({ name, beside, elsewhere }) =>
    [
      { where: "its partition", ...beside },
      { where: "the others", ...elsewhere },
    ].map(
      ({ where, records, p50Ms, p99Ms, maxMs }) =>
        `${name.padEnd(12)}${where.padEnd(15)}${[records, p50Ms, p99Ms, maxMs].map((n) => cell(n, 9)).join("")}`,
    ),
  );
  const names = ["records", "p50 ms", "p99 ms", "max ms"];
  return [
    `${"other keys in".padEnd(27)}${names.map((name) => cell(name, 9)).join("")}`,
    ...lines,
  ].join("\n");
}
