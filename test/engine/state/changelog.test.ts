// Somebody else writes to a changelog: garbage that a later entry replaces is passed over and said; garbage that is the newest
// of its key stops the copy in front of it, whichever way it is read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import type { StoreId } from "../../../src/engine/core/state.ts";
import {
  blame,
  lostEntries,
  type EntryFault,
} from "../../../src/engine/state/changelog/entries.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { follow, type Following } from "../../../src/engine/state/changelog/follow.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { plainCodec } from "../../support/stores.ts";
import { TroubledCopies } from "../../support/troubled-copies.ts";

const store: StoreId = { prefix: "p", store: "s", partition: 0 };
const topic = "p-s-changelog";
const codec = entryCodec(plainCodec, "s", {
  dueOfUndated: (_key, { value }) => (value() as { at: number }).at,
});

const good = (value: unknown, dueMs: number | null = 7): Buffer =>
  codec.encode({ value, timestamp: 5, dueMs });

/** Bytes of no layout, of a later one, cut off, with times beyond what is counted in, and whose due cannot be read. */
const garbage: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  text: Buffer.from("{garbage"),
  later: Buffer.from([5, ...good("x").subarray(1)]),
  "cut in its time": good("x").subarray(0, 5),
  "cut in its due": good("x").subarray(0, 12),
  "deleted with a body": Buffer.from([4, ...good("x").subarray(1)]),
  "far time": Buffer.concat([Buffer.from([1, 0x7f]), Buffer.alloc(7, 0xff), Buffer.from("1")]),
  "far due": Buffer.concat([good("x").subarray(0, 9), Buffer.alloc(8, 0x80), Buffer.from("1")]),
  "undated, no JSON": Buffer.concat([Buffer.from([1]), Buffer.alloc(8), Buffer.from("{")]),
  "undated, null": Buffer.concat([Buffer.from([1]), Buffer.alloc(8), Buffer.from("null")]),
  "undated, bad mark": Buffer.concat([
    Buffer.from([1]),
    Buffer.alloc(8),
    Buffer.from('{"$i":"x"}'),
  ]),
};

class Bench {
  readonly clock = new FakeClock();
  readonly kafka = new MemoryKafka(this.clock, 3);
  readonly port = this.kafka.port();
  readonly producer = this.port.producer();
  readonly copies = new TroubledCopies();
  readonly passedOver: EntryFault[] = [];
  readonly following: Following = {
    copy: this.copies.copy(store),
    changelog: { topic, partition: 0 },
    dueOf: codec.dueOf,
    kafka: this.port,
    admin: this.port.admin(),
    now: () => this.clock.now(),
    tombstonesKeptMs: 86_400_000,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    repairCommand: "npx millrace state rebuild p s --dry-run",
    onPassedOver: (fault) => this.passedOver.push(fault),
    onDiscarded: () => undefined,
  };

  constructor() {
    this.kafka.createTopic({ topic, partitions: 1 });
  }

  async write(key: string | null, value: Buffer | null): Promise<void> {
    const record: OutRecord = {
      ...{ topic, partition: 0, headers: [], timestamp: 0, value },
      key: key === null ? null : Buffer.from(key),
    };
    await this.during(this.producer.send([record]));
  }

  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const watched = work.finally(() => (isDone = true));
    watched.catch(() => undefined);
    await this.clock.advanceUntil(() => isDone, 10_000);
    return watched;
  }

  follow(): Promise<bigint> {
    return this.during(follow(this.following));
  }

  async look(): Promise<unknown> {
    const { position, entries } = await this.copies.look(store);
    const values = [...entries].map(([key, bytes]) => {
      return [key, codec.decode(Buffer.from(key), bytes).value];
    });
    return [position?.nextOffset ?? null, Object.fromEntries(values)];
  }
}

const refused =
  (offset: number, text = /MILL|./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof MillraceError, String(error));
    assert.equal(error.code, "MILL_STATE_CHANGELOG");
    assert.deepEqual(error.where, { topic, partition: 0, offset: BigInt(offset) });
    assert.match(error.message, new RegExp(`${topic}-0 at ${String(offset)}, key sha256:`));
    assert.match(error.message, /npx millrace state rebuild p s --dry-run/);
    assert.match(error.message, text);
    return true;
  };

for (const [what, bytes] of Object.entries(garbage))
  test(`the newest entry of a key that cannot be read stops the copy: ${what}`, async () => {
    const bench = new Bench();
    await bench.write("a", good(1));
    await bench.write("a", bytes);
    await assert.rejects(bench.follow(), refused(1));
    assert.deepEqual(await bench.look(), [null, {}]);
    // Once more, since a copy that had moved on would not see it again.
    await assert.rejects(bench.follow(), refused(1));
  });

test("a copy that is behind stops in front of it too, and stays where it is", async () => {
  const bench = new Bench();
  await bench.write("a", good(1));
  await bench.follow();
  await bench.write("b", good(2));
  await bench.write("a", Buffer.from("{garbage"));
  await bench.write("c", good(3));
  for (let i = 0; i < 2; i++) await assert.rejects(bench.follow(), refused(2));
  assert.deepEqual(await bench.look(), [1n, { a: 1 }]);
});

test("garbage that a later entry of its key replaces is passed over and said, in a rebuild and forward", async () => {
  for (const isForward of [false, true]) {
    const bench = new Bench();
    await bench.write("k", good(0));
    if (isForward) await bench.follow();
    for (const bytes of Object.values(garbage)) await bench.write("a", bytes);
    await bench.write("b", Buffer.from("{garbage"));
    await bench.write("a", good("new"));
    await bench.write("b", null);
    const end = BigInt(Object.keys(garbage).length + 4);
    assert.equal(await bench.follow(), end);
    assert.deepEqual(await bench.look(), [end, { k: 0, a: "new" }]);
    assert.equal(bench.passedOver.length, Object.keys(garbage).length + 1);
  }
});

test("an entry without key is the state of nothing: it is passed over and said", async () => {
  const bench = new Bench();
  await bench.write("a", good(1));
  await bench.write(null, good(2));
  await bench.write(null, null);
  assert.equal(await bench.follow(), 3n);
  assert.deepEqual(await bench.look(), [3n, { a: 1 }]);
  assert.deepEqual(
    bench.passedOver.map(({ offset, key }) => [offset, key]),
    [
      [1n, null],
      [2n, null],
    ],
  );
});

test("no bytes end in another error, whatever they are", async () => {
  const bench = new Bench();
  let state = 12_345;
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(good({ at: i }, random() < 0.5 ? null : 9));
    const cut = Math.floor(random() * bytes.length);
    bytes[cut] = Math.floor(random() * 256);
    await bench.write(`k${String(i)}`, random() < 0.3 ? bytes.subarray(0, cut) : bytes);
  }
  const { entries, isMore } = await bench.during(lostEntries(bench.following, 0n, 300n));
  assert.ok(entries.length > 50 && entries.length < 250 && !isMore, String(entries.length));
  await assert.rejects(bench.follow(), refused(Number(entries[0]?.offset)));
});

test("many of them are counted, and kept in bounds", async () => {
  const bench = new Bench();
  const big = "x".repeat(900_000);
  for (let i = 0; i < 40; i++) await bench.write(`${String(i)}${big}`, Buffer.from("{"));
  const { entries, isMore } = await bench.during(lostEntries(bench.following, 0n, 40n));
  assert.deepEqual([entries.length, isMore], [36, true]);
  await assert.rejects(bench.follow(), refused(0, /and 35\+ more/));
});

test("an entry of a copy is blamed on the changelog only where it has the same", async () => {
  const bench = new Bench();
  const why = new MillraceError("MILL_STATE_ENTRY", "s: it is none");
  await bench.write("a", good(1));
  await bench.write("a", good(2));
  const [key, other] = [Buffer.from("a"), Buffer.from("b")];
  await bench.during(blame(bench.following, key, good(1), why));
  await bench.during(blame(bench.following, other, good(2), why));
  await assert.rejects(
    bench.during(blame(bench.following, key, good(2), why)),
    /MILL_STATE_ENTRY|s: it is none.*at 1|at 1, key sha256/,
  );
});
