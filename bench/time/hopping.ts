// The cost of a record of hopping windows by size ÷ advance: with an entry for each window, and with panes.
import { hopping, json, milliseconds, pipeline, string, topic, type Pipeline } from "#engine";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { BenchTask, INPUT, type TimedEvent } from "./task.ts";

export interface HoppingFigures {
  /** Size ÷ advance. */
  readonly windows: number;
  readonly way: "windows" | "panes";
  readonly perAdvance: number;
  readonly records: number;
  readonly emitted: number;
  readonly cpuMicrosPerRecord: number;
  /** Records of the changelog, and their bytes. */
  readonly changesPerRecord: number;
  readonly bytesPerRecord: number;
}

export const WINDOWS: readonly number[] = [1, 4, 12, 60, 288];
/** Records of a key in an advance. */
const PER_ADVANCE: readonly number[] = [1, 10];
const KEYS = 20;
const ADVANCE_MS = 60_000;
const START_MS = 1_750_000_020_000;
const CACHE_BYTES = 2_000_000_000;
/** As many records as four partitions of a busy topic have in a batch and a checkpoint of 100 ms. */
const BATCH = 500;
const CHECKPOINT = 2_500;

const ticks = topic(INPUT, { key: string, value: json<number>(), partitions: 1, owner: "bench" });
const counts = topic("out", { key: string, value: json<number>(), partitions: 1, owner: "bench" });

const flowOf = (windows: number, way: HoppingFigures["way"]): Pipeline =>
  pipeline("hopping", ({ from }) => {
    const advance = milliseconds(ADVANCE_MS);
    const size = milliseconds(windows * ADVANCE_MS);
    const all = from(ticks)
      .groupByKey()
      .windowedBy(hopping({ size, advance, grace: milliseconds(0) }));
    const table =
      way === "panes"
        ? all.count("counts", { emit: "close" })
        : all.aggregate("counts", {
            ...{ value: json<number>(), init: () => 0, add: (n: number) => n + 1, emit: "close" },
          });
    table.toStream("row", (n) => n).to(counts);
  });

export async function benchHopping(say: (line: string) => void): Promise<HoppingFigures[]> {
  const figures: HoppingFigures[] = [];
  for (const perAdvance of PER_ADVANCE)
    for (const windows of WINDOWS)
      for (const way of ["windows", "panes"] as const) {
        figures.push(await measured(windows, way, perAdvance));
        say(`${String(windows)} windows a record, ${way}: done`);
      }
  return figures;
}

async function measured(
  windows: number,
  way: HoppingFigures["way"],
  perAdvance: number,
): Promise<HoppingFigures> {
  const task = await BenchTask.open(flowOf(windows, way), memoryCopies(), CACHE_BYTES);
  // Warm: as many windows of each key are open as ever will be, and windows close.
  const warm = windows + 2;
  const advances = Math.max(
    10,
    Math.ceil(20_000 / (KEYS * perAdvance * (way === "panes" ? 1 : windows))),
  );
  await feed(task, { from: 0, to: warm, perAdvance: 1 });
  const before = { ...task.counts, cpu: process.cpuUsage() };
  const records = await feed(task, { from: warm, to: warm + advances, perAdvance });
  const cpu = process.cpuUsage(before.cpu);
  const { emitted, changes, changeBytes } = task.counts;
  if (emitted - before.emitted !== KEYS * advances)
    throw new Error(`${String(emitted - before.emitted)} rows, not ${String(KEYS * advances)}`);
  return {
    ...{ windows, way, perAdvance, records, emitted: emitted - before.emitted },
    cpuMicrosPerRecord: (cpu.user + cpu.system) / records,
    changesPerRecord: (changes - before.changes) / records,
    bytesPerRecord: (changeBytes - before.changeBytes) / records,
  };
}

interface Span {
  readonly from: number;
  readonly to: number;
  readonly perAdvance: number;
}

/** The records of some advances; the first one of each closes windows. */
async function feed(task: BenchTask, { from, to, perAdvance }: Span): Promise<number> {
  let pending: TimedEvent[] = [];
  let since = 0;
  let fed = 0;
  const work = async (): Promise<void> => {
    await task.batch(pending);
    since += pending.length;
    fed += pending.length;
    pending = [];
    if (since < CHECKPOINT) return;
    since = 0;
    await task.checkpoint();
  };
  for (let advance = from; advance < to; advance++)
    for (let n = 0; n < KEYS * perAdvance; n++) {
      const atMs =
        START_MS + advance * ADVANCE_MS + Math.floor((n * ADVANCE_MS) / (KEYS * perAdvance));
      pending.push({ key: keys[n % KEYS] as Buffer, value: 1, atMs });
      if (pending.length === BATCH) await work();
    }
  if (pending.length > 0) await work();
  await task.checkpoint();
  return fed;
}

const keys = Array.from({ length: KEYS }, (_, n) => Buffer.from(`key-${String(n)}`));
