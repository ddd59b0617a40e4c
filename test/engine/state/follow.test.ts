// A copy is brought to the end of its changelog: forward from where it stands, or anew from the beginning.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { TxProducer } from "../../../src/engine/core/kafka.ts";
import type { CopyPosition, StoreId } from "../../../src/engine/core/state.ts";
import type { EntryFault } from "../../../src/engine/state/changelog/entries.ts";
import { follow, type FollowProgress } from "../../../src/engine/state/changelog/follow.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { TroubledCopies } from "../../support/troubled-copies.ts";

const store: StoreId = { prefix: "p", store: "s", partition: 1 };
const topic = "p-s-changelog";
const DAY_MS = 86_400_000;

/** A value "2@50" is due at 50. */
const dueIn = (value: Buffer): number | null => {
  const [, due] = String(value).split("@");
  return due === undefined ? null : Number(due);
};

type Pairs = Readonly<Record<string, string | null>>;

class Bench {
  readonly clock = new FakeClock();
  readonly kafka = new MemoryKafka(this.clock, 3);
  readonly port = this.kafka.port();
  readonly admin = this.port.admin();
  readonly copies = new TroubledCopies();
  readonly copy = this.copies.copy(store);
  readonly life = new AbortController();
  readonly told: FollowProgress[] = [];
  readonly passedOver: EntryFault[] = [];
  readonly discarded: string[] = [];
  #producers = 0;

  constructor() {
    const config = { "message.timestamp.type": "LogAppendTime" };
    this.kafka.createTopic({ topic, partitions: 2, config });
  }

  producer(): TxProducer {
    return this.port.txProducer({
      transactionalId: `t${String(++this.#producers)}`,
      timeoutMs: 60_000,
    });
  }

  async send(producer: TxProducer, pairs: Pairs): Promise<void> {
    const record = { topic, partition: store.partition, headers: [], timestamp: 0 };
    await producer.send(
      Object.entries(pairs).map(([key, value]) => {
        const bytes = value === null ? null : Buffer.from(value);
        return { ...record, key: Buffer.from(key), value: bytes };
      }),
    );
  }

  /** One transaction: its records, and a marker behind them. */
  async write(pairs: Pairs, end: "commit" | "abort" = "commit"): Promise<void> {
    const producer = this.producer();
    await producer.init();
    producer.begin();
    await this.send(producer, pairs);
    await producer[end]();
  }

  /** A transaction that nobody has ended yet. */
  async open(pairs: Pairs): Promise<TxProducer> {
    const producer = this.producer();
    await producer.init();
    producer.begin();
    await this.send(producer, pairs);
    return producer;
  }

  begin(): Promise<bigint> {
    return follow({
      copy: this.copy,
      changelog: { topic, partition: store.partition },
      dueOf: (_key, value) => dueIn(value),
      kafka: this.port,
      admin: this.admin,
      now: () => this.clock.now(),
      tombstonesKeptMs: 7 * DAY_MS,
      signal: this.life.signal,
      onProgress: (progress) => this.told.push(progress),
      repairCommand: "repair it",
      onPassedOver: (fault) => this.passedOver.push(fault),
      onDiscarded: ({ code }) => this.discarded.push(code),
    });
  }

  async follow(): Promise<bigint> {
    let isDone = false;
    const following = this.begin().finally(() => (isDone = true));
    following.catch(() => undefined);
    await this.clock.advanceUntil(() => isDone, 10_000);
    assert.ok(isDone, "it never ends");
    return following;
  }

  /** The copy as it stands, in words. */
  async look(): Promise<[bigint | null, Record<string, string>]> {
    const { position, entries } = await this.copies.look(store);
    const values = [...entries].map(([key, value]) => [key, String(value)]);
    return [position?.nextOffset ?? null, Object.fromEntries(values) as Record<string, string>];
  }

  async put(nextOffset: bigint, timeMs: number, pairs: Record<string, string>): Promise<void> {
    const position: CopyPosition = { nextOffset, timeMs };
    const entries = new Map(Object.entries(pairs).map(([k, v]) => [k, Buffer.from(v)]));
    const dues = new Map(
      [...entries].flatMap(([key, value]) => {
        const dueMs = dueIn(value);
        return dueMs === null ? [] : [[key, dueMs] as const];
      }),
    );
    await this.copies.put(store, { position, entries, dues });
  }

  /** The copy's index, in order. */
  async dues(): Promise<string[]> {
    const { keys } = await this.copy.due(Infinity, Infinity, 0);
    return keys.map(({ key, dueMs }) => `${String(key)}@${String(dueMs)}`);
  }

  get kinds(): string[] {
    return [...new Set(this.told.map(({ kind }) => kind))];
  }
}

test("where there is no copy, one is made of the whole changelog, deletions and all", async () => {
  const bench = new Bench();
  await bench.write({ a: "1", b: "1", c: "1", d: "1" });
  await bench.write({ a: "2", b: null });
  assert.equal(await bench.follow(), 8n);
  assert.deepEqual(await bench.look(), [8n, { a: "2", c: "1", d: "1" }]);
  assert.deepEqual(bench.kinds, ["rebuild"]);
});

test("the index of a copy is made from the dues of the changelog", async () => {
  const bench = new Bench();
  await bench.write({ a: "1@70", b: "1@50", c: "1@50", d: "1@1", e: "1@60", f: "1" });
  await bench.write({ a: "2@40", d: null, e: "2", g: "1@50" });
  await bench.follow();
  assert.deepEqual(await bench.dues(), ["a@40", "b@50", "c@50", "g@50"]);
  assert.deepEqual(bench.kinds, ["rebuild"]);
});

test("the index of a copy that is behind goes forward with it", async () => {
  const bench = new Bench();
  await bench.write({ a: "1@70", b: "1@50", c: "1@60" });
  await bench.follow();
  await bench.write({ a: "2@40", b: null, c: "2", d: "1@9" });
  await bench.follow();
  assert.deepEqual(await bench.dues(), ["d@9", "a@40"]);
  assert.deepEqual(bench.kinds, ["rebuild", "forward"]);
});

test("of an empty changelog an empty copy is made, and the next time there is nothing to do", async () => {
  const bench = new Bench();
  assert.equal(await bench.follow(), 0n);
  assert.deepEqual(await bench.look(), [0n, {}]);
  bench.copies.onCall = (call) => assert.equal(call, "position");
  assert.equal(await bench.follow(), 0n);
});

test("a copy that is behind goes forward from where it stands", async () => {
  const bench = new Bench();
  await bench.write({ a: "1", b: "1" });
  await bench.follow();
  await bench.write({ a: "2", b: null, c: "2", d: "2" });
  await bench.write({ e: "3" });
  bench.told.length = 0;
  bench.copies.onCall = (call) => assert.notEqual(call, "rebuild");
  assert.equal(await bench.follow(), 10n);
  assert.deepEqual(await bench.look(), [10n, { a: "2", c: "2", d: "2", e: "3" }]);
  assert.deepEqual(bench.kinds, ["forward"]);
  const last = bench.told.at(-1);
  assert.deepEqual([last?.from, last?.next, last?.end], [3n, 10n, 10n]);
});

test("of several changes of a key in one read the last one counts", async () => {
  const bench = new Bench();
  await bench.follow();
  await bench.write({ a: "1" });
  await bench.write({ a: "2" });
  await bench.write({ a: null });
  assert.equal(await bench.follow(), 6n);
  assert.deepEqual(await bench.look(), [6n, {}]);
});

test("aborted transactions change nothing, but the copy goes past them", async () => {
  const bench = new Bench();
  await bench.write({ a: "1" });
  await bench.follow();
  await bench.write({ a: "wrong", b: "wrong" }, "abort");
  assert.equal(await bench.follow(), 5n);
  assert.deepEqual(await bench.look(), [5n, { a: "1" }]);
});

test("the position has the time of the changelog's record, however late it is read", async () => {
  const bench = new Bench();
  await bench.write({ a: "1" });
  const written = bench.clock.now();
  await bench.clock.advance(DAY_MS);
  await bench.follow();
  assert.equal((await bench.copy.position())?.timeMs, written);
  await bench.clock.advance(DAY_MS);
  await bench.write({ b: "1" });
  await bench.clock.advance(DAY_MS);
  await bench.follow();
  assert.equal((await bench.copy.position())?.timeMs, written + 2 * DAY_MS);
  await bench.write({ b: "wrong" }, "abort");
  await bench.follow();
  assert.equal((await bench.copy.position())?.timeMs, written + 2 * DAY_MS);
});

test("a copy older than half the time that tombstones are kept is made anew", async () => {
  for (const [ageMs, kind] of [
    [3.5 * DAY_MS, "forward"],
    [3.5 * DAY_MS + 1, "rebuild"],
  ] as const) {
    const bench = new Bench();
    await bench.write({ a: "1", ghost: "1" });
    await bench.follow();
    await bench.clock.advance(ageMs);
    await bench.write({ b: "1" });
    // The tombstone of `ghost` may have gone by compaction: only a rebuild can know.
    await bench.put(3n, bench.clock.now() - ageMs, { a: "1", ghost: "1" });
    bench.told.length = 0;
    await bench.follow();
    assert.deepEqual(bench.kinds, [kind]);
  }
});

test("a copy that stands at the end is whole, however long nothing was written", async () => {
  const bench = new Bench();
  await bench.write({ a: "1", ghost: "1" });
  await bench.follow();
  await bench.clock.advance(30 * DAY_MS);
  bench.told.length = 0;
  await bench.follow();
  assert.deepEqual(bench.kinds, []);
});

test("a copy from below the changelog's start, or beyond its end, is made anew", async () => {
  const bench = new Bench();
  await bench.write({ a: "1", b: "1", c: "1" });
  for (const position of [1n, 99n]) {
    await bench.put(position, bench.clock.now(), { ghost: "1" });
    await bench.admin.deleteRecords([{ topic, partition: store.partition, nextOffset: 2n }]);
    bench.told.length = 0;
    assert.equal(await bench.follow(), 4n);
    assert.deepEqual(await bench.look(), [4n, { c: "1" }]);
    assert.deepEqual(bench.kinds, ["rebuild"]);
  }
});

for (const [end, expected] of [
  ["commit", { a: "1", b: "2" }],
  ["abort", { a: "1" }],
] as const)
  test(`an open transaction below the high watermark is waited for, and its ${end} counts`, async () => {
    const bench = new Bench();
    await bench.write({ a: "1" });
    await bench.follow();
    const producer = await bench.open({ b: "2" });
    let isDone = false;
    const following = bench.begin().finally(() => (isDone = true));
    await bench.clock.advance(30_000);
    assert.equal(isDone, false);
    const ending = producer[end]();
    await bench.clock.advanceUntil(() => isDone, 1_000);
    await ending;
    assert.equal(await following, 4n);
    assert.deepEqual(await bench.look(), [4n, expected]);
  });

test("changes whose marker comes late are waited for: their progress may be visible already", async () => {
  const bench = new Bench();
  await bench.write({ a: "1" });
  await bench.follow();
  bench.kafka.delayMarkers((at) => at.topic === topic);
  await bench.write({ a: "2" });
  let isDone = false;
  const following = bench.begin().finally(() => (isDone = true));
  await bench.clock.advance(5_000);
  assert.equal(isDone, false);
  bench.kafka.releaseMarkers();
  await bench.clock.advanceUntil(() => isDone, 1_000);
  assert.equal(await following, 4n);
  assert.deepEqual(await bench.look(), [4n, { a: "2" }]);
});

test("an aborted signal ends the wait", async () => {
  const bench = new Bench();
  await bench.open({ a: "1" });
  const following = bench.begin();
  following.catch(() => undefined);
  await bench.clock.advance(1_000);
  bench.life.abort(new Error("the assignment was revoked"));
  await bench.clock.advance(1_000);
  await assert.rejects(following, /revoked/);
  assert.deepEqual(await bench.look(), [null, {}]);
});

test("when somebody else moves the copy on the way, it starts over from where the copy is then", async () => {
  const bench = new Bench();
  await bench.follow();
  await bench.write({ a: "1", b: "1", c: "1", d: "1", e: "1" });
  let applies = 0;
  bench.copies.onCall = async (call) => {
    if (call === "apply" && ++applies === 2) await bench.copies.wipe();
  };
  assert.equal(await bench.follow(), 6n);
  assert.deepEqual(await bench.look(), [6n, { a: "1", b: "1", c: "1", d: "1", e: "1" }]);
  assert.deepEqual(bench.kinds, ["forward", "rebuild"]);
});

test("two workers that follow at once leave the copy at the end", async () => {
  const bench = new Bench();
  await bench.follow();
  await bench.write({ a: "1", b: "1", c: "1", d: "1", e: "1", a2: "1" });
  await bench.write({ a: null, b: "2" });
  const both = Promise.all([bench.begin(), bench.begin()]);
  await bench.clock.advance(2_000);
  assert.deepEqual(await both, [10n, 10n]);
  assert.deepEqual(await bench.look(), [10n, { b: "2", c: "1", d: "1", e: "1", a2: "1" }]);
});

for (const call of ["put", "finish"] as const)
  test(`a rebuild whose ${call} fails is given up, and the copy stays as it was`, async () => {
    const bench = new Bench();
    await bench.write({ a: "1" });
    await bench.put(99n, bench.clock.now(), { old: "1" });
    const seen: string[] = [];
    bench.copies.onCall = (one) => void seen.push(one);
    bench.copies.failNext(call);
    await assert.rejects(bench.follow(), MillraceError);
    assert.equal(seen.at(-1), "discard");
    assert.deepEqual(await bench.look(), [99n, { old: "1" }]);
    assert.equal(await bench.follow(), 2n);
    assert.deepEqual(await bench.look(), [2n, { a: "1" }]);
  });

test("a changelog with fewer partitions than its part is said, not taken for empty", async () => {
  const bench = new Bench();
  const copy = bench.copies.copy({ ...store, partition: 7 });
  const following = follow({
    copy,
    changelog: { topic, partition: 7 },
    dueOf: () => null,
    kafka: bench.port,
    admin: bench.admin,
    now: () => 0,
    tombstonesKeptMs: DAY_MS,
    signal: bench.life.signal,
    onProgress: () => undefined,
    ...{ repairCommand: "repair", onPassedOver: () => undefined, onDiscarded: () => undefined },
  });
  await assert.rejects(following, /fewer partitions/);
});
