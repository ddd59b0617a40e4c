import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import type { Bounds, Pace } from "../../../src/engine/core/bounds.ts";
import type { RecordBatch } from "../../../src/engine/core/kafka.ts";
import type { TopicPartition } from "../../../src/engine/core/record.ts";
import { Inbox } from "../../../src/engine/source/inbox.ts";
import type { FetchedSlice } from "../../../src/engine/source/queue.ts";
import { raw } from "../../support/plans.ts";

const generation = { group: "g", generationId: 1, memberId: "m" };

/** Records at these offsets and times; `to` is where the next batch begins. */
function batch(
  topic: string,
  from: number,
  records: readonly (readonly [number, number])[],
  to: number,
): RecordBatch {
  return {
    topic,
    partition: 0,
    generation,
    fetchedOffset: BigInt(from),
    records: records.map(([offset, timestamp]) =>
      raw(offset, { topic, offset: BigInt(offset), timestamp }),
    ),
    nextOffset: BigInt(to),
    highWatermark: BigInt(to),
    byteLength: records.length,
  };
}

class TestBounds implements Bounds {
  readonly ends = new Map<string, bigint>();
  readonly lasts = new Map<string, bigint>();
  isOrdered = true;
  together: readonly string[] = [];
  readonly #listeners = new Set<() => void>();
  end = (_: string, { topic }: TopicPartition): bigint | null => this.ends.get(topic) ?? null;
  last = (_: string, { topic }: TopicPartition): bigint | null => this.lasts.get(topic) ?? null;
  timeAtEnd = (): number => -Infinity;
  beside = (): ReadonlySet<string> => new Set(this.isOrdered ? this.together : []);
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const open = (
  topics: Readonly<Record<string, number | null>>,
  options: { bytesMax?: number; sliceRecordsMax?: number; pace?: Pace; together?: string[] } = {},
) => {
  const bounds = new TestBounds();
  bounds.together = options.together ?? Object.keys(topics);
  const turns: string[] = [];
  const valve = {
    pause: ([at]: readonly TopicPartition[]) => void turns.push(`pause ${String(at?.topic)}`),
    resume: ([at]: readonly TopicPartition[]) => void turns.push(`resume ${String(at?.topic)}`),
    seek: () => undefined,
  };
  for (const [topic, end] of Object.entries(topics))
    if (end !== null) bounds.ends.set(topic, BigInt(end));
  const starts = Object.keys(topics).map((topic) => ({ topic, partition: 0, nextOffset: 0n }));
  const { bytesMax = 1_000_000, sliceRecordsMax = 100, pace } = options;
  const bounded = { group: "g", bounds, pace };
  return {
    inbox: new Inbox(starts, { bytesMax, sliceRecordsMax }, valve, bounded),
    bounds,
    turns,
  };
};

const seen = (run: FetchedSlice | null): string =>
  run === null
    ? "closed"
    : `${run.topic} ${run.records.map(({ offset }) => String(offset)).join()} → ${String(run.nextOffset)}`;
const taken = async (inbox: Inbox): Promise<string> => seen(await inbox.take());

/** What `take` gives within a few turns. */
async function soon(inbox: Inbox): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  void inbox.take().then((run) => resolve(seen(run)));
  for (let i = 0; i < 5; i++) await turn();
  return Promise.race([promise, Promise.resolve("waiting")]);
}

test("no record at or beyond the end is given out, and progress ends exactly there", async () => {
  const { inbox } = open({ a: 3 });
  inbox.push(
    batch(
      "a",
      0,
      [
        [0, 0],
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 4],
      ],
      5,
    ),
  );
  assert.equal(await taken(inbox), "a 0,1,2 → 3");
  assert.ok(inbox.isEmpty);
  assert.equal(await soon(inbox), "waiting");
});

test("an end between records, in a gap, or behind the last one is reached without a record", async () => {
  const gap = open({ a: 4 });
  gap.inbox.push(
    batch(
      "a",
      0,
      [
        [0, 0],
        [9, 9],
      ],
      10,
    ),
  );
  assert.equal(await taken(gap.inbox), "a 0 → 4");
  const control = open({ a: 4 });
  control.inbox.push(batch("a", 0, [[0, 0]], 7));
  assert.equal(await taken(control.inbox), "a 0 → 4");
  const behind = open({ a: 4 });
  behind.inbox.push(batch("a", 0, [[5, 5]], 6));
  assert.equal(await taken(behind.inbox), "a  → 4");
});

test("a raised end lets go on where it was, with what has been fetched meanwhile", async () => {
  const { inbox, bounds } = open({ a: 2 });
  inbox.push(
    batch(
      "a",
      0,
      [
        [0, 0],
        [1, 1],
        [2, 2],
        [3, 3],
      ],
      6,
    ),
  );
  assert.equal(await taken(inbox), "a 0,1 → 2");
  const waiting = inbox.take();
  bounds.ends.set("a", 3n);
  bounds.changed();
  assert.equal(seen(await waiting), "a 2 → 3");
  bounds.ends.set("a", 5n);
  assert.equal(await taken(inbox), "a 3 → 5");
  // Fetched up to 6 already, without a record.
  bounds.ends.set("a", 6n);
  assert.equal(await taken(inbox), "a  → 6");
  assert.ok(inbox.isEmpty);
});

test("records of several partitions come in order of time, each waited for until it has one or has ended", async () => {
  const { inbox, bounds } = open({ a: 2, b: null });
  inbox.push(
    batch(
      "a",
      0,
      [
        [0, 10],
        [1, 30],
      ],
      2,
    ),
  );
  const first = inbox.take();
  await turn();
  inbox.push(
    batch(
      "b",
      0,
      [
        [0, 20],
        [1, 40],
      ],
      2,
    ),
  );
  assert.equal(seen(await first), "a 0 → 1");
  assert.equal(await taken(inbox), "b 0 → 1");
  assert.equal(await taken(inbox), "a 1 → 2");
  assert.equal(await taken(inbox), "b 1 → 2");
  // a has ended; b may still get more, and is all there is.
  inbox.push(batch("b", 2, [[2, 5]], 3));
  assert.equal(await taken(inbox), "b 2 → 3");
  bounds.lasts.set("b", 3n);
  assert.equal(await soon(inbox), "waiting");
});

test("a partition whose writers are done is not waited for", async () => {
  const { inbox, bounds } = open({ a: 5, b: null });
  inbox.push(batch("a", 0, [[0, 10]], 1));
  const waiting = inbox.take();
  await turn();
  bounds.lasts.set("b", 0n);
  bounds.changed();
  assert.equal(seen(await waiting), "a 0 → 1");
});

test("behind the pinned range nobody waits for order", async () => {
  const { inbox, bounds } = open({ a: 5, b: 5 });
  bounds.isOrdered = false;
  inbox.push(batch("a", 0, [[0, 10]], 1));
  assert.equal(await taken(inbox), "a 0 → 1");
});

test("a full partition is paused alone, so that one that is waited for can still come", async () => {
  const { inbox, turns } = open({ a: 100, b: 100 }, { bytesMax: 2_000 });
  inbox.push(
    batch(
      "a",
      0,
      [
        [0, 10],
        [1, 11],
        [2, 12],
      ],
      3,
    ),
  );
  assert.deepEqual(turns, ["pause a"]);
  inbox.push(batch("b", 0, [[0, 99]], 1));
  assert.equal(await taken(inbox), "a 0,1,2 → 3");
  assert.deepEqual(turns, ["pause a", "resume a"]);
});

test("held topics are neither given out nor waited for", async () => {
  const { inbox } = open({ a: 5, b: 5 });
  inbox.push(batch("a", 0, [[0, 10]], 1));
  inbox.push(batch("b", 0, [[0, 20]], 1));
  inbox.pauseTopics(new Set(["a"]));
  assert.equal(await taken(inbox), "b 0 → 1");
  assert.ok(inbox.isEmpty);
});

test("only what has an end is paced, and a closed inbox waits for no pace", async () => {
  const asked: number[] = [];
  const pace: Pace = {
    isOpen: true,
    take: (records, signal) => {
      asked.push(records);
      return asked.length === 1
        ? Promise.resolve()
        : new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(new Error("closed")));
          });
    },
  };
  const { inbox, bounds } = open({ a: 5, b: null }, { pace });
  bounds.isOrdered = false;
  inbox.push(
    batch(
      "b",
      0,
      [
        [0, 1],
        [1, 2],
      ],
      2,
    ),
  );
  await inbox.take();
  assert.deepEqual(asked, []);
  inbox.push(
    batch(
      "a",
      0,
      [
        [0, 1],
        [1, 2],
      ],
      2,
    ),
  );
  await inbox.take();
  assert.deepEqual(asked, [2]);
  inbox.push(batch("a", 2, [[2, 1]], 3));
  const waiting = inbox.take();
  await turn();
  inbox.close();
  assert.equal(await waiting, null);
});

test("whatever is fetched in whatever pieces, everything in range comes once, in order of partition and, when timestamps go up, of time", async () => {
  const lane = fc.record({
    steps: fc.array(
      fc.record({ gap: fc.integer({ min: 0, max: 2 }), later: fc.integer({ min: 0, max: 5 }) }),
      { maxLength: 15 },
    ),
    end: fc.integer({ min: 0, max: 25 }),
    size: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(lane, { minLength: 1, maxLength: 3 }), async (lanes) => {
      const topics = Object.fromEntries(lanes.map(({ end }, i) => [`t${String(i)}`, end]));
      const { inbox } = open(topics, { sliceRecordsMax: 3 });
      const expected: [string, number, number][] = [];
      lanes.forEach(({ steps, end, size }, i) => {
        const topic = `t${String(i)}`;
        let [offset, time, from] = [0, 0, 0];
        const all = steps.map(({ gap, later }): [number, number] => {
          offset += gap + 1;
          time += later;
          return [offset - 1, time];
        });
        for (let at = 0; at < all.length; at += size) {
          const piece = all.slice(at, at + size);
          const to = (piece.at(-1)?.[0] ?? 0) + 1;
          inbox.push(batch(topic, from, piece, to));
          from = to;
        }
        // The log goes on to the end of the range at least.
        if (from < end) inbox.push(batch(topic, from, [], end));
        for (const [o, t] of all) if (o < end) expected.push([topic, o, t]);
      });
      const given: [string, number, number][] = [];
      const progress = new Map<string, bigint>();
      while (!inbox.isEmpty) {
        const run = (await inbox.take()) as FetchedSlice;
        for (const r of run.records) given.push([r.topic, Number(r.offset), r.timestamp]);
        assert.ok(run.nextOffset >= (progress.get(run.topic) ?? 0n));
        progress.set(run.topic, run.nextOffset);
      }
      for (const [topic, end] of Object.entries(topics))
        assert.equal(Number(progress.get(topic) ?? 0n), end);
      assert.deepEqual(given.toSorted(byPlace), expected.toSorted(byPlace));
      const times = given.map(([, , time]) => time);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 300, seed: 5 },
  );
});

const byPlace = (
  a: readonly [string, number, number],
  b: readonly [string, number, number],
): number => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1]);

test("topics that no step brings together do not wait for each other", async () => {
  const { inbox } = open({ a: 5, b: 5 }, { together: ["a"] });
  inbox.push(batch("a", 0, [[0, 10]], 1));
  assert.equal(await taken(inbox), "a 0 → 1");
});

test("without an end in reach and without order, a run's inbox hands out what a live one does", async () => {
  const piece = fc.record({
    topic: fc.constantFrom("a", "b"),
    times: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 }),
  });
  const handedOut = async (inbox: Inbox, pieces: readonly RecordBatch[]): Promise<string[]> => {
    for (const each of pieces) assert.equal(inbox.push(each), null);
    const order: string[] = [];
    while (!inbox.isEmpty) order.push(await taken(inbox));
    return order;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const ends = new Map([
        ["a", 0],
        ["b", 0],
      ]);
      const batches = pieces.map(({ topic, times }) => {
        const from = ends.get(topic) ?? 0;
        const to = from + times.length + 1;
        ends.set(topic, to);
        const records = times.map((time, i): [number, number] => [from + i, time]);
        return batch(topic, from, records, to);
      });
      const { inbox: bounded, bounds } = open({ a: 1_000, b: 1_000 }, { sliceRecordsMax: 3 });
      bounds.isOrdered = false;
      const starts = ["a", "b"].map((topic) => ({ topic, partition: 0, nextOffset: 0n }));
      const valve = { pause: () => undefined, resume: () => undefined, seek: () => undefined };
      const live = new Inbox(starts, { bytesMax: 1_000_000, sliceRecordsMax: 3 }, valve);
      assert.deepEqual(await handedOut(live, batches), await handedOut(bounded, batches));
    }),
    { numRuns: 300, seed: 7 },
  );
});
