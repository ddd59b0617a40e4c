// I4: windows behind a topic that a pipeline of Millrace writes, another one or the same: an outage of the writer is no
// quietness, however long it lasts, and a writer that has worked everything keeps nobody.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Duration,
  type Pipeline,
  type Topic,
} from "#engine";
import type { ConfigErrors } from "../../src/engine/core/errors.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface View {
  readonly shop: string;
  readonly left?: number;
}
interface Row {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

const IDLE = 5_000;
/** A window closes no later than so much behind the wall clock and idleAfter. */
const BEHIND = 2_000;
const owner = "tests";
const viewsOf = (name: string, writtenBy?: Pipeline | string): Topic<string, View> =>
  topic(name, {
    ...{ key: string, value: json<View>(), partitions: 2, owner, idleAfter: { ms: IDLE } },
    ...(writtenBy === undefined ? {} : { writtenBy }),
  });
const rowsOf = (name: string): Topic<string, Row> =>
  topic(name, { key: string, value: json<Row>(), partitions: 1, owner });
const close = { emit: "close" } as const;

const raw = viewsOf("raw");
/** Two parts. */
const clean = viewsOf("clean", "writer");
const writer = pipeline("writer", ({ from }) => {
  from(raw)
    .rekey("by-shop", ({ shop }) => shop)
    .to(clean);
});
const rows = rowsOf("rows");
const counting = (name: string, views: Topic<string, View>, size: Duration) =>
  pipeline(name, ({ from }) => {
    from(views)
      .groupByKey()
      .windowedBy(tumbling({ size, grace: seconds(0) }))
      .count("views", close)
      .toStream("row", (count, { start, end }): Row => ({
        start: Number(start),
        end: Number(end),
        count,
      }))
      .to(rows);
  });
const reader = counting("reader", clean, seconds(10));

class Scene {
  readonly fleet: Fleet;
  writer: FleetMember;
  readonly #writing: readonly Pipeline[];

  private constructor(fleet: Fleet, writing: readonly Pipeline[], member: FleetMember) {
    [this.fleet, this.#writing, this.writer] = [fleet, writing, member];
  }

  /** The writers in one worker, the reader in another. */
  static async open(writing: readonly Pipeline[], reading: Pipeline): Promise<Scene> {
    const fleet = new Fleet([...writing, reading]);
    const member = await fleet.join({ plans: writing.map((one) => one.plan()) });
    await fleet.join({ plans: [reading.plan()] });
    return new Scene(fleet, writing, member);
  }

  async join(): Promise<void> {
    this.writer = await this.fleet.join({ plans: this.#writing.map((one) => one.plan()) });
  }

  view(at: number, to: Topic<string, View> = raw): Promise<void> {
    const value = Buffer.from(JSON.stringify({ shop: "a" }));
    const record = { topic: to.name, partition: 0, key: Buffer.from("a"), value, headers: [] };
    return this.fleet.sendRecords([{ ...record, timestamp: at }]);
  }

  /** The moment at which there are so many rows, and they. */
  async rows(many: number): Promise<{ readonly rows: readonly Row[]; readonly atMs: number }> {
    await this.fleet.until(`${String(many)} rows`, () => this.fleet.values(rows).length >= many);
    return { rows: this.fleet.values(rows), atMs: this.fleet.clock.now() };
  }

  async late(): Promise<number> {
    return (await this.fleet.ledger("main"))["late"] ?? 0;
  }
}

const startOf = (at: number, size: number): number => Math.floor(at / size) * size;

test("I4: a topic whose writer has worked everything is quiet idleAfter behind its last record", async () => {
  const scene = await Scene.open([writer], reader);
  const at = scene.fleet.clock.now();
  await scene.view(at);
  const { rows: found, atMs } = await scene.rows(1);
  const end = startOf(at, 10_000) + 10_000;
  assert.deepEqual(found, [{ start: end - 10_000, end, count: 1 }]);
  const behind = atMs - end - IDLE;
  assert.ok(behind >= 0 && behind <= BEHIND, `${String(behind)} ms behind idleAfter`);
});

const outages: Record<string, readonly [(scene: Scene) => unknown, (scene: Scene) => unknown]> = {
  "stands still": [({ writer: of }) => of.life.freeze(), ({ writer: of }) => of.life.thaw()],
  "is stopped": [
    (scene) => scene.fleet.during(scene.writer.worker.stop()),
    (scene) => scene.join(),
  ],
  "has died": [({ writer: of }) => of.life.crash(), (scene) => scene.join()],
};

for (const [what, [begin, end]] of Object.entries(outages))
  test(`I4: a writer that ${what} for many times idleAfter is no quietness of its topic`, async () => {
    const scene = await Scene.open([writer], reader);
    const at = scene.fleet.clock.now();
    await scene.view(at);
    await scene.fleet.until("it has passed", () => scene.fleet.values(clean).length === 1);
    await begin(scene);
    await scene.view(at);
    await scene.fleet.clock.advance(10 * IDLE);
    assert.deepEqual(scene.fleet.values(rows), []);
    await end(scene);
    const { rows: found } = await scene.rows(1);
    assert.deepEqual(
      found.map(({ count }) => count),
      [2],
    );
    assert.equal(await scene.late(), 0);
  });

test("I4: what lies in an open transaction in front of the writer is waited for", async () => {
  const scene = await Scene.open([writer], reader);
  const { fleet } = scene;
  const at = fleet.clock.now();
  const producer = fleet.kafka.port().txProducer({ transactionalId: "open", timeoutMs: 900_000 });
  await fleet.during(producer.init());
  producer.begin();
  const value = Buffer.from(JSON.stringify({ shop: "a" }));
  const record = { topic: "raw", partition: 1, key: Buffer.from("a"), value, headers: [] };
  await fleet.during(producer.send([{ ...record, timestamp: at }]));
  await scene.view(at);
  await fleet.clock.advance(10 * IDLE);
  assert.deepEqual(fleet.values(rows), []);
  await fleet.during(producer.commit());
  assert.equal((await scene.rows(1)).rows[0]?.count, 2);
  assert.equal(await scene.late(), 0);
});

test("I4: a pipeline further up counts too: its topic is read by the writer, which says so", async () => {
  const source = viewsOf("source");
  const first = pipeline("first", ({ from }) => {
    from(source)
      .map("same", (view) => view)
      .to(middle);
  });
  const middle = viewsOf("middle", first);
  const second = pipeline("second", ({ from }) => {
    from(middle)
      .map("same", (view) => view)
      .to(last);
  });
  const last = viewsOf("last", second);
  const third = counting("third", last, seconds(10));
  const fleet = new Fleet([first, second, third]);
  const up = await fleet.join({ plans: [first.plan()] });
  await fleet.join({ plans: [second.plan(), third.plan()] });
  const at = fleet.clock.now();
  const record = {
    topic: "source",
    partition: 0,
    key: Buffer.from("a"),
    headers: [],
    timestamp: at,
  };
  const value = Buffer.from(JSON.stringify({ shop: "a" }));
  await fleet.sendRecords([{ ...record, value }]);
  await fleet.until("it has passed", () => fleet.values(last).length === 1);
  up.life.freeze();
  await fleet.sendRecords([{ ...record, value }]);
  await fleet.clock.advance(10 * IDLE);
  assert.deepEqual(fleet.values(rows), []);
  up.life.thaw();
  await fleet.until("a row", () => fleet.values(rows).length > 0);
  assert.equal(fleet.values(rows)[0]?.count, 2);
});

// Results of windows come when time has gone on, whatever was read: the reader goes by the times of its writer then.
const windowing = pipeline("windowing", ({ from }) => {
  from(raw)
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(20) }))
    .count("views", close)
    .toStream("view", (): View => ({ shop: "a" }))
    .to(windowed);
});
const windowed = viewsOf("windowed", "windowing");
const minutes = counting("minutes", windowed, seconds(60));

test("I4: rows that windows of the writer still keep are waited for: none is late, and the last one closes", async () => {
  const scene = await Scene.open([windowing], minutes);
  const { fleet } = scene;
  const begin = startOf(fleet.clock.now(), 60_000) + 60_000;
  await fleet.clock.advance(begin + 55_000 - fleet.clock.now());
  await scene.view(begin + 45_000);
  await scene.view(begin + 55_000);
  const { rows: found, atMs } = await scene.rows(1);
  assert.deepEqual(found, [{ start: begin, end: begin + 60_000, count: 2 }]);
  // The writer's last window in that minute closes its grace and idleAfter behind its end; its row is the last record.
  const behind = atMs - (begin + 60_000 + 20_000 + 2 * IDLE);
  assert.ok(behind >= 0 && behind <= BEHIND, `${String(behind)} ms`);
  assert.equal(await scene.late(), 0);
});

test("I4: a writer that was stopped with windows open has read everything, and is waited for all the same", async () => {
  const scene = await Scene.open([windowing], minutes);
  const { fleet } = scene;
  const at = fleet.clock.now();
  await scene.view(at);
  await fleet.clock.advance(1_000);
  await fleet.during(scene.writer.worker.stop());
  await fleet.clock.advance(20 * IDLE + 60_000);
  assert.deepEqual(fleet.values(rows), []);
  await scene.join();
  assert.equal((await scene.rows(1)).rows[0]?.count, 1);
  assert.equal(await scene.late(), 0);
});

test("I4: a topic that the pipeline writes itself is quiet once it has worked everything, and not while a task has stopped", async () => {
  const again = viewsOf("again");
  const self = pipeline("self", ({ from }) => {
    from(raw)
      .expect("not-bad", ({ shop }) => shop !== "bad", { otherwise: "halt" })
      .to(again);
    from(again)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("views", close)
      .toStream("row", (count, { start, end }): Row => ({
        start: Number(start),
        end: Number(end),
        count,
      }))
      .to(rows);
  });
  const fleet = new Fleet([self]);
  await fleet.join();
  const at = fleet.clock.now();
  const record = { topic: "raw", partition: 0, key: Buffer.from("a"), headers: [] };
  const view = (shop: string, timestamp: number): Promise<void> =>
    fleet.sendRecords([{ ...record, timestamp, value: Buffer.from(JSON.stringify({ shop })) }]);
  await view("a", at);
  await fleet.until("a row", () => fleet.values(rows).length > 0);
  const end = startOf(at, 10_000) + 10_000;
  const behind = fleet.clock.now() - end - IDLE;
  assert.ok(behind >= 0 && behind <= BEHIND, String(behind));
  const later = fleet.clock.now();
  await view("a", later);
  await view("bad", later);
  await view("a", later);
  await fleet.clock.advance(10 * IDLE);
  assert.equal(fleet.values(rows).length, 1, "a record of that window waits in front of the task");
});

test("I4: pipelines that feed each other in a circle are walked until nothing is under way", async () => {
  const start = viewsOf("start");
  const ping = pipeline("ping", ({ from }) => {
    from(start)
      .merge("all", from(back))
      .filter("goes-on", ({ left = 0 }) => left > 0)
      .map("less", ({ shop, left = 0 }): View => ({ shop, left: left - 1 }))
      .to(forth);
  });
  const forth = viewsOf("forth", ping);
  const pong = pipeline("pong", ({ from }) => {
    from(forth)
      .map("same", (view) => view)
      .to(back);
  });
  const back = viewsOf("back", pong);
  const counted = counting("counted", back, seconds(10));
  const fleet = new Fleet([ping, pong, counted]);
  await fleet.join({ plans: [ping.plan(), counted.plan()] });
  const other = await fleet.join({ plans: [pong.plan()] });
  const at = fleet.clock.now();
  const value = Buffer.from(JSON.stringify({ shop: "a", left: 5 }));
  const record = { topic: "start", partition: 0, key: Buffer.from("a"), value, headers: [] };
  await fleet.sendRecords([{ ...record, timestamp: at }]);
  await fleet.until("two rounds", () => fleet.values(back).length === 2);
  other.life.freeze();
  await fleet.clock.advance(10 * IDLE);
  assert.deepEqual(fleet.values(rows), [], "a record waits in the midst of the circle");
  other.life.thaw();
  await fleet.until("a row", () => fleet.values(rows).length > 0);
  assert.equal(fleet.values(rows)[0]?.count, 5);
});

test("I4: a topic whose writer has noted nothing is never quiet, and the log says why as soon as it was read to its end", async () => {
  const fleet = new Fleet([writer, reader]);
  await fleet.join({ plans: [reader.plan()] });
  const said = (): string[] =>
    fleet.log.lines
      .map(({ message }) => message)
      .filter((message) => /has not noted how it writes/.test(message));
  assert.equal(said().length, 1);
  assert.match(said()[0] ?? "", /^the pipeline writer .* writes clean, so clean is never quiet/);
  const value = Buffer.from(JSON.stringify({ shop: "a" }));
  const record = { topic: "clean", partition: 0, key: Buffer.from("a"), value, headers: [] };
  await fleet.sendRecords([{ ...record, timestamp: fleet.clock.now() }]);
  await fleet.clock.advance(10 * IDLE);
  assert.deepEqual(fleet.values(rows), []);
  assert.equal(said().length, 1, "once");
});

test("I4: of several pipelines the log names the one that has noted nothing", async () => {
  const middle = viewsOf("middle", "first");
  const last = viewsOf("last", "second");
  const first = pipeline("first", ({ from }) => {
    from(raw).to(middle);
  });
  const second = pipeline("second", ({ from }) => {
    from(middle).to(last);
  });
  const third = counting("third", last, seconds(10));
  const fleet = new Fleet([first, second, third]);
  await fleet.join({ plans: [second.plan()] });
  await fleet.join({ plans: [third.plan()] });
  const warned = (): string[] =>
    fleet.log.lines
      .map(({ message }) => message)
      .filter((message) => /has not noted how it writes/.test(message));
  assert.match(
    warned().join("\n"),
    /^the pipeline first has not noted how it writes middle, so last is never quiet.*$/,
  );
});

test("a pipeline that writes a topic which is declared as written by another does not build", () => {
  const wrong = pipeline("wrong", ({ from }) => {
    from(raw).to(clean);
  });
  const expected = 'writtenBy: expected "wrong", which writes it here, received "writer"';
  assert.throws(
    () => wrong.plan(),
    ({ problems: [first] }: ConfigErrors) => first?.message.includes(expected) === true,
  );
});
