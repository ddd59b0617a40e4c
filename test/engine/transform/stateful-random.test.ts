// Random pipelines over random records: batches of any size give what a naive program gives that takes one record after
// the other, and undoes whatever a record did that fails in the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { json, seconds, type Stream } from "#engine";
import { anyTopic, StatefulRig, type Given, type Out } from "../../support/stateful-rig.ts";

const SPAN_MS = 1_000;

/** Every value is a whole number, so any step may follow any other. */
type Step =
  | { readonly op: "map" | "filter" | "flat" | "strict" | "halt"; readonly by: number }
  | { readonly op: "distinct" | "count" | "sum" | "state"; readonly by: number };

interface Node {
  readonly step: Step;
  readonly then: readonly Node[];
}

const mod = (value: number, by: number): number => ((value % by) + by) % by;
const bounded = (value: number): number => mod(value, 1_000);

class Refused extends Error {}

const callbacks = {
  map: (v: number, by: number): number => bounded(v + by),
  filter: (v: number, by: number): boolean => mod(v, by) !== 0,
  flat: (v: number, by: number): number[] =>
    Array.from({ length: mod(v, 3) }, (_, i) => bounded(v * by + i)),
  strict: (v: number, by: number): number => {
    if (mod(v, by + 2) === 1) throw new Refused();
    return v;
  },
  /** Deletes at times, and refuses at times. */
  add: (sum: number, v: number, by: number): number | null => {
    if (mod(sum + v, 11) === by) throw new Refused();
    return mod(sum + v, 5) === 0 ? null : bounded(sum + v);
  },
  state: (state: number | null, v: number, by: number) => ({
    state: mod(v, 4) === 0 ? null : bounded((state ?? 0) + by),
    emit: Array.from({ length: mod(v, 3) }, (_, i) => bounded(v + (state ?? 0) + i)),
  }),
};

/** Declares the node and what follows it; a node that nothing follows is written to a topic of its name. */
function draw(stream: Stream<string | null, number>, { step, then }: Node, name: string): void {
  const next = follow(stream, step, name);
  if (then.length === 0) next.to(anyTopic(`${name}-out`) as never);
  then.forEach((node, i) => draw(next, node, `${name}-x${String(i)}`));
}

function follow(
  stream: Stream<string | null, number>,
  { op, by }: Step,
  name: string,
): Stream<string | null, number> {
  switch (op) {
    case "map":
      return stream.map(name, (v) => callbacks.map(v, by));
    case "filter":
      return stream.filter(name, (v) => callbacks.filter(v, by));
    case "flat":
      return stream.flatMap(name, (v) => callbacks.flat(v, by));
    case "strict":
      return stream.map(name, (v) => callbacks.strict(v, by));
    case "halt":
      return stream.expect(name, (v) => mod(v, 50) !== by, { otherwise: "halt" });
    case "distinct":
      return stream.distinct(name, { by: (v) => mod(v, by), within: seconds(SPAN_MS / 1_000) });
    case "count":
      return stream.groupByKey().count(name).toStream();
    case "sum":
      return stream
        .groupByKey()
        .aggregate(name, {
          value: json<number>(),
          init: () => 0,
          add: (sum, v) => callbacks.add(sum, v, by),
        })
        .toStream();
    case "state":
      return stream.mapWithState(name, {
        state: json<number>(),
        map: (state: number | null, v) => callbacks.state(state, v, by),
      });
  }
}

interface Entry {
  readonly value: unknown;
  readonly timestamp: number;
}
type State = Map<string, Map<string, Entry>>;

interface Keyed extends Given<number> {
  readonly key: string;
  readonly value: number;
}

/** What one value makes of its key's state; an `undefined` that is told is a tombstone. */
function changeOf(
  { op, by }: Step,
  before: number | null,
  value: number,
): { state: number | null; emit: (number | undefined)[]; isEmitted: boolean } {
  if (op === "state") {
    const { state, emit } = callbacks.state(before, value, by);
    return { state, emit, isEmitted: state !== before };
  }
  const sum = before ?? 0;
  const state = op === "count" ? sum + 1 : callbacks.add(sum, value, by);
  const isNothing = state === null && before === null;
  return { state, emit: isNothing ? [] : [state ?? undefined], isEmitted: !isNothing };
}

/** The second program: no batches, no journal, no cache. */
class Naive {
  readonly #roots: readonly Node[];
  #state: State = new Map();
  #streamTimeMs = -1;
  #outputs: Out[] = [];
  #isEmitted = false;
  #isRepeat = false;
  #isLate = false;
  #isNullKey = false;

  constructor(roots: readonly Node[]) {
    this.#roots = roots;
  }

  run(record: Given<number>): { outcome: string; outputs: Out[] } {
    const before: State = new Map([...this.#state].map(([name, map]) => [name, new Map(map)]));
    this.#streamTimeMs = Math.max(this.#streamTimeMs, record.timestamp);
    this.#outputs = [];
    this.#isEmitted = this.#isRepeat = this.#isNullKey = this.#isLate = false;
    try {
      this.#roots.forEach((node, i) => this.#walk(node, record, `n${String(i)}`));
      return { outcome: this.#outcome(record.value === undefined), outputs: this.#outputs };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#state = before;
      return { outcome: "dead-lettered", outputs: [] };
    }
  }

  #outcome(isTombstone: boolean): string {
    if (this.#isEmitted) return "emitted";
    if (this.#isLate) return "late";
    if (this.#isRepeat || this.#isNullKey) return this.#isRepeat ? "deduplicated" : "null-key";
    return isTombstone ? "tombstone" : "filtered";
  }

  #walk(node: Node, record: Given<number>, name: string): void {
    for (const result of this.#step(node.step, record, name)) {
      if (node.then.length === 0) {
        const { key, value, timestamp } = result;
        this.#outputs.push({ topic: `${name}-out`, key, value, timestamp });
        this.#isEmitted = true;
      }
      node.then.forEach((next, i) => this.#walk(next, result, `${name}-x${String(i)}`));
    }
  }

  #step({ op, by }: Step, record: Given<number>, name: string): Given<number>[] {
    const { key, value } = record;
    const isStateful = ["distinct", "count", "sum", "state"].includes(op);
    if (value === undefined) return isStateful && op !== "distinct" ? [] : [record];
    const now = (results: readonly number[]) => results.map((one) => ({ ...record, value: one }));
    if (op === "map") return now([callbacks.map(value, by)]);
    if (op === "filter") return callbacks.filter(value, by) ? [record] : [];
    if (op === "flat") return now(callbacks.flat(value, by));
    if (op === "strict") return now([callbacks.strict(value, by)]);
    if (key !== null) return this.#stateful({ op, by }, { ...record, key, value }, name);
    this.#isNullKey = true;
    return [];
  }

  #stateful({ op, by }: Step, record: Keyed, name: string): Given<number>[] {
    const store = this.#state.get(name) ?? new Map<string, Entry>();
    this.#state.set(name, store);
    if (op === "distinct") return this.#distinct(by, record, store);
    const old = store.get(record.key);
    const before = old === undefined ? null : (old.value as number | null);
    const newest = Math.max(record.timestamp, old?.timestamp ?? 0);
    const { state, emit, isEmitted } = changeOf({ op, by }, before, record.value);
    if (isEmitted) this.#isEmitted = true;
    // The time of a key stays when its value goes, and comes with the first that is told of it.
    const timestamp = newest;
    if (isEmitted || state !== null || emit.length > 0)
      store.set(record.key, { value: state, timestamp });
    return emit.map((value) => ({ ...record, value, timestamp }));
  }

  #distinct(by: number, record: Keyed, store: Map<string, Entry>): Given<number>[] {
    if (record.timestamp + SPAN_MS < this.#streamTimeMs) {
      this.#isLate = true;
      return [];
    }
    const id = `${record.key}\0[${String(mod(record.value, by))}]`;
    const seen = store.get(id);
    if (seen !== undefined && this.#streamTimeMs - seen.timestamp <= SPAN_MS) {
      this.#isRepeat = true;
      return [];
    }
    store.set(id, { value: true, timestamp: this.#streamTimeMs });
    return [record];
  }

  state(): Record<string, Record<string, unknown>> {
    const sorted = <T>(map: Map<string, T>): [string, T][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    const full = sorted(this.#state).filter(([, entries]) => entries.size > 0);
    return Object.fromEntries(full.map(([name, map]) => [name, Object.fromEntries(sorted(map))]));
  }
}

const plain = ["map", "filter", "flat", "strict", "strict"] as const;
const stateful = ["distinct", "count", "sum", "sum", "state"] as const;

/** One or two trees of steps. */
const rootsOf = (ops: readonly Step["op"][]): fc.Arbitrary<Node[]> => {
  const { tree } = fc.letrec<{ tree: Node; step: Step }>((tie) => ({
    step: fc.record({ op: fc.constantFrom(...ops), by: fc.integer({ min: 2, max: 5 }) }),
    tree: fc.record({
      step: tie("step"),
      then: fc.oneof(
        { maxDepth: 5, depthIdentifier: "tree" },
        fc.constant([]),
        fc.array(tie("tree"), { minLength: 1, maxLength: 2, depthIdentifier: "tree" }),
      ),
    }),
  }));
  return fc.array(tree, { minLength: 1, maxLength: 2 });
};

const record: fc.Arbitrary<Given<number>> = fc.record({
  key: fc.constantFrom("a", "a", "b", null),
  value: fc.oneof(
    { arbitrary: fc.nat({ max: 40 }), weight: 12 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  ),
  timestamp: fc.nat({ max: 5_000 }),
});

/** Batches, and whether a checkpoint follows each. */
const batches = fc.array(
  fc.record({ records: fc.array(record, { maxLength: 12 }), isCheckpoint: fc.boolean() }),
  { minLength: 1, maxLength: 5 },
);

/** Which of two steps of one record is asked first decides between a halt and a letter, so the naive program has no halts. */
const withoutHalts = rootsOf([...plain, ...stateful]);
const withHalts = rootsOf([...plain, "halt", ...stateful]);

const rigOf = (nodes: readonly Node[], cacheBytes: number): StatefulRig<number> =>
  new StatefulRig<number>(
    (stream) => nodes.forEach((node, i) => draw(stream, node, `n${String(i)}`)),
    { cacheBytes },
  );

const kindOf = (outcome: string): string => outcome.split(" ")[0] as string;
const byTopic = (outputs: readonly Out[]) => Object.groupBy(outputs, ({ topic }) => topic);

test("batches of any size give what one record after the other gives", async () => {
  await fc.assert(
    fc.asyncProperty(
      withoutHalts,
      batches,
      fc.constantFrom(0, 1e9),
      async (nodes, all, cacheBytes) => {
        const rig = rigOf(nodes, cacheBytes);
        const naive = new Naive(nodes);
        for (const { records, isCheckpoint } of all) {
          const { outcomes, outputs } = await rig.batch(...records);
          const expected = records.map((one) => naive.run(one));
          assert.deepEqual(
            outcomes.map(kindOf),
            expected.map(({ outcome }) => outcome),
          );
          assert.deepEqual(byTopic(outputs), byTopic(expected.flatMap((one) => one.outputs)));
          if (isCheckpoint) await rig.checkpoint();
        }
        await rig.checkpoint();
        assert.deepEqual(rig.state(), naive.state());
      },
    ),
    { numRuns: 300, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false },
  );
});

test("batches of any size give exactly what batches of one give, streams that meet again included", async () => {
  const merged = (nodes: readonly Node[]) =>
    new StatefulRig<number>((stream) => {
      const [first, second] = nodes.map(({ step }, i) => follow(stream, step, `m${String(i)}`));
      const both = (first as typeof stream).merge("both", second ?? stream);
      nodes.forEach((node, i) => draw(both, node, `n${String(i)}`));
    });
  await fc.assert(
    fc.asyncProperty(withHalts, batches, async (nodes, all) => {
      const [large, small] = [merged(nodes), merged(nodes)];
      for (const { records } of all) {
        const batch = await large.batch(...records);
        const single = { outcomes: [] as string[], outputs: [] as Out[] };
        for (const one of records) {
          const { outcomes, outputs } = await small.batch(one);
          single.outcomes.push(...outcomes);
          single.outputs.push(...outputs);
          if (outcomes[0]?.startsWith("halted") === true) break;
        }
        assert.deepEqual(batch, single);
        if (batch.outcomes.at(-1)?.startsWith("halted") === true) break;
      }
      for (const rig of [large, small]) await rig.checkpoint();
      assert.deepEqual(large.state(), small.state());
    }),
    { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
