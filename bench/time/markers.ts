// Markers and ages in topics between parts: how many records and bytes they are, by partitions and workers. The engine itself on a
// log in memory and in virtual time, so that the figures are the same on every machine; bytes are those of the record as it is sent.
import { json, minutes, pipeline, seconds, session, string, topic, tumbling } from "#engine";
import type { Pipeline } from "#engine";
import { encodeRecordBatch } from "../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";
import type { RawRecord } from "../../src/engine/core/record.ts";
import { marksIn, withAge } from "../../src/engine/core/time-headers.ts";
import { Fleet } from "../../test/support/fleet.ts";

export const BEHIND = ["minutes", "sessions"] as const;

export interface MarkerFigures {
  readonly partitions: number;
  readonly workers: number;
  /** The step behind the topic: tumbling minutes, or sessions, for which time is said whenever it has moved. */
  readonly behind: (typeof BEHIND)[number];
  /** Figures for one worker. */
  readonly markersPerSecond: number;
  readonly bytesPerSecond: number;
  readonly bytesEach: number;
}

export interface AgeFigures {
  readonly ageMs: number;
  /** The bytes that a record is longer. */
  readonly bytes: number;
}

export const PARTITIONS: readonly number[] = [4, 32, 200];
const WORKERS: readonly number[] = [1, 2];
/** More often than markers go out, so that time has always moved when they may. */
const STEP_MS = 500;
const WARM_S = 10;
const NEVER_MS = 86_400_000;
const MEASURED_S = { minutes: 60, sessions: 20 } as const;

interface Sale {
  readonly shop: string;
}

const own = { key: string, owner: "bench" };

function flowOf(partitions: number, behind: MarkerFigures["behind"]): Pipeline {
  const sales = topic("sales", { ...own, value: json<Sale>(), partitions, idleAfter: "never" });
  const counts = topic("counts", { ...own, value: json<number>(), partitions: 1 });
  return pipeline("sold", ({ from }) => {
    const grouped = from(sales).groupBy("by-shop", ({ shop }) => shop);
    const windowed =
      behind === "minutes"
        ? grouped.windowedBy(tumbling({ size: minutes(1), grace: seconds(5) }))
        : grouped.windowedBy(session({ gap: minutes(1), grace: seconds(5) }));
    windowed
      .count("sold", { emit: "close" })
      .toStream("row", (n) => n)
      .to(counts);
  });
}

/** While every source partition gets a record at each step. */
export async function measureMarkers(
  of: Pick<MarkerFigures, "partitions" | "workers" | "behind">,
  measuredS: number = MEASURED_S[of.behind],
): Promise<MarkerFigures> {
  const { partitions, workers, behind } = of;
  // Records that were read stay, to be counted.
  const fleet = new Fleet([flowOf(partitions, behind)], { purgeIntervalMs: NEVER_MS });
  for (let n = 0; n < workers; n++) await fleet.join();
  const value = Buffer.from(JSON.stringify({ shop: "a" }));
  const step = async (): Promise<void> => {
    const timestamp = fleet.clock.now();
    const records = Array.from({ length: partitions }, (_, partition) => ({
      ...{ topic: "sales", partition, key: Buffer.from("k"), value, headers: [], timestamp },
    }));
    await fleet.sendRecords(records);
    await fleet.clock.advance(timestamp + STEP_MS - fleet.clock.now());
  };
  for (let ms = 0; ms < WARM_S * 1_000; ms += STEP_MS) await step();
  const fromMs = fleet.clock.now();
  for (let ms = 0; ms < measuredS * 1_000; ms += STEP_MS) await step();
  const markers = fleet.kafka
    .records("sold-by-shop-repartition", { committed: true })
    .filter((raw) => marksIn(raw) !== null && raw.timestamp >= fromMs);
  const bytes = markers.reduce((sum, raw) => sum + recordBytes(raw), 0);
  return {
    ...of,
    markersPerSecond: markers.length / measuredS / workers,
    bytesPerSecond: bytes / measuredS / workers,
    bytesEach: markers.length === 0 ? 0 : bytes / markers.length,
  };
}

const origin = { transactionalId: "bench", producerId: 1n, epoch: 0, firstSequence: 0 };
/** Without the head of its batch. */
const recordBytes = (raw: RawRecord): number =>
  encodeRecordBatch([raw, raw], origin).length - encodeRecordBatch([raw], origin).length;

const DAY_MS = 86_400_000;
const AGES: readonly number[] = [0, 100, 10_000, 60_000, 3_600_000, DAY_MS, 365 * DAY_MS];

export function measureAges(): AgeFigures[] {
  const plain = {
    ...{ topic: "t", partition: 0, offset: 0n, key: Buffer.from("k"), value: Buffer.from("v") },
    ...{ headers: [], timestamp: 0 },
  };
  return AGES.map((ageMs) => ({
    ageMs,
    bytes: recordBytes({ ...plain, headers: withAge([], ageMs) }) - recordBytes(plain),
  }));
}

export async function benchMarkers(
  say: (line: string) => void,
): Promise<{ readonly markers: readonly MarkerFigures[]; readonly ages: readonly AgeFigures[] }> {
  const markers: MarkerFigures[] = [];
  for (const behind of BEHIND)
    for (const partitions of PARTITIONS)
      for (const workers of WORKERS) {
        markers.push(await measureMarkers({ partitions, workers, behind }));
        say(`${behind} behind ${String(partitions)} partitions, ${String(workers)} workers: done`);
      }
  return { markers, ages: measureAges() };
}
