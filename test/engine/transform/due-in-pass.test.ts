// Entries that become due among the records of a batch fire as if records came one by one, whatever the batches (rule W3 of
// docs/semantics.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import type { Operation, OperatorFacts, Part, PlanNode } from "../../../src/engine/core/plan.ts";
import type { StateEntry } from "../../../src/engine/core/state.ts";
import { groupsOf } from "../../../src/engine/define/plan/groups.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import type { EntryCodec } from "../../../src/engine/state/entry-codec.ts";
import { KeyedStore, type Change } from "../../../src/engine/state/keyed-store.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { CacheBudget, OpenStores } from "../../../src/engine/state/task-stores.ts";
import {
  Agenda,
  DUE_IN_BATCH_MAX,
  type DueOperator,
} from "../../../src/engine/transform/agenda.ts";
import { CallBook } from "../../../src/engine/transform/calls/book.ts";
import { plainKeeping } from "../../../src/engine/transform/calls/key-queue.ts";
import { entriesDue } from "../../../src/engine/transform/agenda.ts";
import { fireDue } from "../../../src/engine/transform/due.ts";
import {
  drop,
  stateKey,
  timed,
  type MakeOperator,
  type Operator,
} from "../../../src/engine/transform/operator.ts";
import {
  runBatch,
  type BatchResult,
  type TimedRecord,
} from "../../../src/engine/transform/pass.ts";
import { compile, type Program } from "../../../src/engine/transform/program.ts";
import { TestCalls } from "../../support/calls.ts";
import { raw } from "../../support/plans.ts";

const anyTopic = (name: string) =>
  topic(name, { key: string, value: json<never>(), partitions: 1, owner: "tests" });
const [drawn] = pipeline("rig", ({ from }) => from(anyTopic("in")).to(anyTopic("out"))).plan()
  .parts as [Part];
const [input, output] = drawn.nodes as [PlanNode, PlanNode];

interface Size {
  readonly size: number;
  readonly grace: number;
}

/** Counts by windows of the event time, in one group without keys. Its entries lie under their starts. */
const windowNode = (id: number, above: number, { size, grace }: Size): PlanNode => {
  const store = `windows-${String(id)}`;
  const keyOf = (start: number) => stateKey(Buffer.from(String(start)));
  const work: MakeOperator = (_node, wiring): Operator => ({
    at: wiring.at,
    stores: [store],
    usesTime: true,
    keys(item, want) {
      const start = Math.floor(item.record.context.timestamp / size) * size;
      item.key = keyOf(start);
      want(store, item.key);
    },
    work({ key, record, watermark, trail }, views) {
      if (key === null) return;
      const start = Number(key.id);
      const closeMs = start + size + grace;
      if (Math.max(record.originMs, watermark) >= closeMs) {
        trail.late = record.originMs >= closeMs ? "own" : "closed";
        return drop(wiring);
      }
      const view = views.view(store);
      const count = ((view.get(key)?.value ?? 0) as number) + 1;
      view.set(key, { value: count, timestamp: start, dueMs: closeMs - 1 });
      trail.emitted++;
    },
    due({ key }, views) {
      if (key === null) return;
      const view = views.view(store);
      const count = view.get(key)?.value;
      view.set(key, null);
      const endMs = Number(key.id) + size - 1;
      wiring.cursor.record = timed(wiring.cursor, endMs);
      Object.assign(wiring.cursor.record, { originMs: endMs });
      wiring.next(`${String(id)}: ${key.id} has ${String(count)}`);
    },
  });
  const facts: OperatorFacts = { work, usesTime: true, delayMs: grace };
  const operation = { kind: "own", store: { name: store } } as Operation;
  return { id, name: store, operation, facts, inputs: [above], site: "" };
};

const plain: EntryCodec = {
  encode: (entry) => Buffer.from(JSON.stringify(entry)),
  decode: (_key, bytes) => JSON.parse(String(bytes)) as StateEntry,
  bytesMax: () => 100,
  unknownId: () => null,
  unknownKept: () => null,
  unknownIn: () => [],
  dueOf: (_key, bytes) => (JSON.parse(String(bytes)) as StateEntry).dueMs,
};

class Rig {
  readonly program: Program;
  readonly stores: OpenStores;
  readonly texts: string[] = [];
  /** Places of operators that met records behind their watermark. */
  readonly behind: number[] = [];
  /** The outputs that fail, counted with those that were made in vain. */
  readonly failing = new Set<number>();
  isBatch = false;
  #emitted = 0;
  readonly outcomes: string[] = [];
  readonly #calls = new TestCalls().calls;
  readonly #opened: readonly KeyedStore[];
  #time = -Infinity;
  #offset = 0n;

  constructor(nodes: readonly PlanNode[]) {
    this.program = compile(
      { ...drawn, nodes, groups: groupsOf(nodes) },
      {
        onError: "dead-letter",
        onBroken: () => undefined,
        keyOf: (_node, key) => String(key),
        keepingOf: () => plainKeeping,
        emitterOf: () => (value, cursor) => {
          // Whatever fails among the records is tried again by itself.
          if (this.isBatch && this.failing.delete(++this.#emitted)) throw new Error("once");
          const bytes = Buffer.from(
            `${String(value)} at ${String(cursor.record.context.timestamp)}`,
          );
          cursor.stage.outputs.push({ ...cursor.record.raw, topic: "out", value: bytes });
          return true;
        },
      },
    );
    const journal: Change[] = [];
    const cache = new CacheBudget(1e9).share({});
    const names = nodes.flatMap(({ operation }) => operation.store?.name ?? []);
    const stores = names.map((store) => {
      const copy = memoryCopies().copy({ prefix: "p", store, partition: 0 });
      const repair = async () => {
        await (await copy.rebuild()).finish({ nextOffset: 0n, timeMs: 0 });
        return 0n;
      };
      const own = { codec: plain, changeBytesMax: 1e6, copy, position: 0n, cache, journal, repair };
      const broken = { discard: Promise.reject.bind(Promise), blame: () => Promise.resolve() };
      return new KeyedStore({ ...own, ...broken, learn: () => Promise.resolve() });
    });
    this.#opened = stores;
    const byName = new Map(names.map((name, i) => [name, stores[i] as KeyedStore]));
    this.stores = new OpenStores(byName, journal, (work) => work());
  }

  /** Records by their times, until all are worked, as a task does it; some are entries that go first by themselves. */
  async batch(times: readonly number[]): Promise<void> {
    const watermarkOf = this.program.watermarks("in", this.#times);
    const lent = { stores: this.stores, calls: this.#calls };
    for (let left = times; left.length > 0;) {
      let running = this.#time;
      const records = left.map((timestamp, i): TimedRecord => {
        running = Math.max(running, timestamp);
        const record = { ...raw(undefined), topic: "in", offset: BigInt(i), timestamp };
        const context = { ...record, key: "k" };
        const decoded = { raw: record, value: "v", context, originMs: running };
        return { record: decoded, movesToMs: running, watermark: running };
      });
      const book = new CallBook();
      const batch = { records, ...lent, book, watermarkOf, watermarkBefore: this.#time };
      this.isBatch = true;
      const made = await runBatch(this.program, batch);
      this.isBatch = false;
      this.#keep(made);
      this.outcomes.push(
        ...made.outcomes.map((one) => (one.kind === "late" ? `late ${one.by}` : one.kind)),
      );
      if (made.isDueFirst) await this.#fire((records[0] as TimedRecord).watermark);
      const worked = made.outcomes.length;
      if (worked > 0) this.#time = (records[worked - 1] as TimedRecord).watermark;
      left = left.slice(worked);
    }
  }

  async #fire(headMs: number): Promise<void> {
    const watermarkOf = this.program.watermarks("in", this.#times);
    const consumed = (at: number) => this.program.watermark(at, this.#times);
    for (const { at, stores } of this.program.dueOperators("event-time")) {
      const watermark = watermarkOf(at, headMs);
      for (;;) {
        const limits = { beforeMs: watermark, most: 500 };
        const entries = await entriesDue(this.stores, stores, limits);
        if (entries.length === 0) break;
        const due = { at, entries, partition: 0, watermark, watermarkOf: consumed };
        const fired = await fireDue(this.program, {
          ...due,
          stores: this.stores,
          calls: this.#calls,
        });
        assert.equal(fired.halted, null);
        this.#keep(fired);
      }
    }
  }

  #keep({ outputs, behind }: Pick<BatchResult, "outputs" | "behind">): void {
    this.behind.push(...behind.keys());
    this.texts.push(...outputs.map(({ value }) => String(value)));
    this.stores.endBatch();
  }

  async checkpoint(): Promise<void> {
    for (const store of this.#opened) {
      const sealed = store.seal();
      if (sealed === null) continue;
      await store.settle(
        sealed,
        sealed.changes.map(() => this.#offset++),
        0,
      );
    }
  }

  readonly #times = { watermarkOf: () => this.#time, keepsRecords: () => false };
}

const minutes: Size = { size: 10, grace: 2 };
const hours: Size = { size: 30, grace: 0 };
const chain = () => [
  input,
  windowNode(10, input.id, minutes),
  windowNode(11, 10, hours),
  { ...output, inputs: [11] },
];

/** The chain, record by record: what comes out, and what is late. */
function expected(times: readonly number[]): { texts: string[]; outcomes: string[] } {
  const [texts, outcomes] = [[] as string[], [] as string[]];
  const [small, large] = [new Map<number, number>(), new Map<number, number>()];
  let [time, before] = [-Infinity, -Infinity];
  const due = (windows: Map<number, number>, { size, grace }: Size, watermark: number) =>
    [...windows].filter(([s]) => s + size + grace <= watermark).sort(([a], [b]) => a - b);
  for (const t of times) {
    [before, time] = [time, Math.max(time, t)];
    for (const [start] of due(small, minutes, time)) {
      small.delete(start);
      const end = start + minutes.size - 1;
      const of = Math.floor(end / hours.size) * hours.size;
      assert.ok(before - minutes.grace < of + hours.size, "a result is never late");
      large.set(of, (large.get(of) ?? 0) + 1);
    }
    for (const [start, count] of due(large, hours, time - minutes.grace)) {
      large.delete(start);
      texts.push(`11: ${String(start)} has ${String(count)} at ${String(start + hours.size - 1)}`);
    }
    const start = Math.floor(t / minutes.size) * minutes.size;
    const isLate = time >= start + minutes.size + minutes.grace;
    outcomes.push(isLate ? "late own" : "emitted");
    if (!isLate) small.set(start, (small.get(start) ?? 0) + 1);
  }
  return { texts, outcomes };
}

test("W3: a window into a window, in batches of any size, is as if records came one by one", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const whole = (below: number): number => Math.floor(random.next() * below);
    let now = 0;
    const times = Array.from({ length: 60 }, () => {
      now += whole(10) === 0 ? whole(100) : whole(4);
      return Math.max(0, now - whole(4) * whole(8));
    });
    const rig = new Rig(chain());
    for (let failing = whole(4); failing < 40; failing += 1 + whole(9)) rig.failing.add(failing);
    for (let from = 0; from < times.length;) {
      const to = from + 1 + whole(20);
      await rig.batch(times.slice(from, to));
      if (whole(2) === 0) await rig.checkpoint();
      from = to;
    }
    const { texts, outcomes } = rig;
    assert.deepEqual({ texts, outcomes }, expected(times), `seed ${String(seed)}`);
    assert.deepEqual(rig.behind, [], `W4: seed ${String(seed)}`);
  }
});

test("W3: more entries are due than a batch takes: it ends in front of the record, and they go first by themselves", async () => {
  const many = DUE_IN_BATCH_MAX + 700;
  const small: Size = { size: 10, grace: 100_000 };
  const nodes = [input, windowNode(10, input.id, small), { ...output, inputs: [10] }];
  for (const isSettled of [false, true]) {
    const rig = new Rig(nodes);
    await rig.batch(Array.from({ length: many }, (_, i) => i * 10));
    if (isSettled) await rig.checkpoint();
    const before = rig.texts.length;
    assert.ok(before < many);
    await rig.batch([many * 10, many * 10 + 300_000]);
    assert.equal(rig.texts.length, many + 1);
    const starts = rig.texts.map((text) => Number(text.split(" ")[1]));
    assert.deepEqual(
      starts,
      starts.toSorted((a, b) => a - b),
    );
    assert.equal(rig.outcomes.filter((one) => one === "emitted").length, many + 2);
  }
});

test("what a batch has found and not worked is found again", async () => {
  const rig = new Rig(chain());
  await rig.batch([1, 11]);
  const [store, ends] = ["windows-10", [11, 21]];
  const operator = rig.program.operators[1] as DueOperator;
  const agenda = new Agenda([operator], rig.stores, { length: 1, watermarkAt: () => 100 });
  await agenda.read();
  assert.equal(rig.stores.nextDueMs(store), Infinity);
  agenda.close(false);
  assert.ok(rig.stores.nextDueMs(store) <= Math.min(...ends));
  const found = await rig.stores.due(store, 100, 10);
  assert.deepEqual(
    found.map(({ dueMs }) => dueMs),
    ends,
  );
});
