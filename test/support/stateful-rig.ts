// A part with state, run batch by batch without any server: what comes out, how each record ended, what state is left.
import { plainKeeping } from "../../src/engine/transform/calls/key-queue.ts";
import { json, nullable, pipeline, string, topic, type Stream } from "#engine";
import type { Outcome, Stage } from "../../src/engine/core/outcome.ts";
import type { OutRecord, RecordContext } from "../../src/engine/core/record.ts";
import type { StateEntry } from "../../src/engine/core/state.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { entryCodec, type EntryCodec } from "../../src/engine/state/entry-codec.ts";
import { KeyedStore, type Change } from "../../src/engine/state/keyed-store.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { CacheBudget, OpenStores } from "../../src/engine/state/task-stores.ts";
import { entriesDue } from "../../src/engine/transform/agenda.ts";
import { fireDue } from "../../src/engine/transform/due.ts";
import { runBatch, type TimedRecord } from "../../src/engine/transform/pass.ts";
import { CallBook } from "../../src/engine/transform/calls/book.ts";
import { compile, type Program } from "../../src/engine/transform/program.ts";
import type { DeferredChange } from "../../src/engine/transform/operator.ts";
import { TestCalls } from "./calls.ts";
import { raw } from "./plans.ts";

export type Draw<V> = (stream: Stream<string | null, V>) => void;

/** A record as a test writes it: `undefined` is a tombstone. */
export interface Given<V> {
  readonly key: string | null;
  readonly value: V | undefined;
  readonly timestamp: number;
}

export const given = <V>(
  key: string | null,
  value: V | undefined,
  timestamp = 1_000,
): Given<V> => ({
  key,
  value,
  timestamp,
});

/** An output in words: topic, key, value, time. */
export interface Out {
  readonly topic: string;
  readonly key: string | null;
  readonly value: unknown;
  readonly timestamp: number;
}

export interface RigOptions {
  readonly onError?: "dead-letter" | "halt";
  readonly cacheBytes?: number;
  readonly calls?: TestCalls;
}

/** Topics of any value, by name. */
export const anyTopic = (name: string) =>
  topic(name, { key: nullable(string), value: json<never>(), partitions: 1, owner: "tests" });

export class StatefulRig<V> {
  readonly program: Program;
  /** Rules that did not hold and were only logged. */
  readonly broken: string[] = [];
  readonly #stores: OpenStores;
  readonly #opened: ReadonlyMap<string, { store: KeyedStore; codec: EntryCodec }>;
  /** What checkpoints have written, by store and key. */
  readonly #written = new Map<string, Map<string, unknown>>();
  readonly #dues = new Map<string, number>();
  readonly #values = new Map<Buffer, unknown>();
  #streamTimeMs = -1;
  #held = new Map<string, DeferredChange>();
  #offset = 0n;
  readonly #calls: TestCalls;

  constructor(draw: Draw<V>, options: RigOptions = {}) {
    const { onError = "dead-letter", cacheBytes = 1e9, calls = new TestCalls() } = options;
    this.#calls = calls;
    const input = topic("in", {
      key: nullable(string),
      value: json<V>(),
      partitions: 1,
      owner: "tests",
    });
    const flow = pipeline("rig", { onError }, ({ from }) => draw(from(input)));
    const [part] = flow.plan().parts;
    if (part === undefined) throw new TypeError("the pipeline has no part");
    this.program = compile(part, {
      onError,
      onBroken: (rule) => this.broken.push(rule),
      keyOf: (_node, key) => String(key),
      keepingOf: () => plainKeeping,
      emitterOf: (node) => (value, cursor) => {
        const { key } = cursor.record.raw;
        const { timestamp } = cursor.record.context;
        const bytes = Buffer.alloc(1);
        this.#values.set(bytes, value);
        const at = { topic: node.name, partition: 0, key, headers: [], timestamp };
        cursor.stage.outputs.push({ ...at, value: bytes });
        return true;
      },
    });
    const journal: Change[] = [];
    const budget = new CacheBudget(cacheBytes);
    this.#opened = new Map(
      part.stores.map(({ name, changelog, ...rules }) => {
        const codec = entryCodec(
          compileCodec(changelog.value, { schemas: new Map(), writerId: null }),
          name,
          rules,
        );
        const copy = memoryCopies().copy({ prefix: "p", store: name, partition: 0 });
        const store = new KeyedStore({
          codec,
          changeBytesMax: 1e6,
          copy,
          position: 0n,
          cache: budget.share({}),
          journal,
          repair: async () => {
            await (await copy.rebuild()).finish({ nextOffset: 0n, timeMs: 0 });
            return 0n;
          },
          ...{ discard: Promise.reject.bind(Promise), blame: () => Promise.resolve() },
          learn: () => Promise.resolve(),
        });
        return [name, { store, codec }];
      }),
    );
    this.#stores = new OpenStores(
      new Map([...this.#opened].map(([name, { store }]) => [name, store])),
      journal,
      (work) => work(),
    );
  }

  /** One batch; the outcomes in words, and the outputs. */
  async batch(...records: readonly Given<V>[]): Promise<{ outcomes: string[]; outputs: Out[] }> {
    const timed = records.map((record, i) => this.#timed(record, i));
    const batch = { records: timed, stores: this.#stores, calls: this.#calls.calls };
    const watermarkOf = (_at: number, watermark: number): number => watermark;
    const own = { ...batch, book: new CallBook(), watermarkOf };
    const result = await runBatch(this.program, own);
    for (const held of result.deferred) this.#held.set(`${String(held.at)}/${held.key}`, held);
    this.#stores.endBatch();
    const last = timed[result.outcomes.length - 1];
    this.#streamTimeMs = last?.watermark ?? this.#streamTimeMs;
    return { outcomes: result.outcomes.map(inWords), outputs: this.#read(result) };
  }

  #timed({ key, value, timestamp }: Given<V>, i: number): TimedRecord {
    const bytes = key === null ? null : Buffer.from(key);
    const record = raw(undefined, { key: bytes, timestamp, offset: BigInt(i) });
    const context: RecordContext = { ...record, key };
    const before = i === 0 ? this.#streamTimeMs : this.#running;
    this.#running = Math.max(before, timestamp);
    const timeMs = this.#running;
    const decoded = { raw: record, value, context, originMs: timeMs };
    return { record: decoded, movesToMs: timeMs, watermark: timeMs };
  }
  #running = -1;

  #read({ outputs }: { readonly outputs: readonly OutRecord[] }): Out[] {
    return outputs.map(({ topic: name, key, value, timestamp }) => ({
      topic: name,
      key: key === null ? null : String(key),
      value: this.#values.get(value as Buffer),
      timestamp,
    }));
  }

  /** Stores an entry as it lies there from before. */
  async put(name: string, bytes: Buffer, entry: StateEntry): Promise<void> {
    const key = { id: bytes.toString("latin1"), bytes };
    await this.#stores.load(name, new Map([[key.id, key]]));
    this.#stores.view(name).set(key, entry);
    this.#stores.endBatch();
    await this.checkpoint();
  }

  /** Tells what was held, and writes what has changed. */
  async checkpoint(): Promise<{ failed: string[]; outputs: Out[] }> {
    const stage: Stage = { outputs: [], rows: [], index: 0 };
    const failed = [...this.#held.values()]
      .map((held) => this.program.emitDeferred(held, stage))
      .filter((outcome) => outcome !== null)
      .map(inWords);
    this.#held = new Map();
    for (const [name, { store, codec }] of this.#opened) {
      const sealed = store.seal();
      if (sealed === null) continue;
      const written = this.#written.get(name) ?? new Map<string, unknown>();
      this.#written.set(name, written);
      for (const { key, value } of sealed.changes) {
        this.#dues.delete(`${name} ${String(key)}`);
        if (value === null) written.delete(String(key));
        else {
          const { value: is, timestamp, dueMs } = codec.decode(key, value);
          written.set(String(key), { value: is, timestamp });
          if (dueMs !== null) this.#dues.set(`${name} ${String(key)}`, dueMs);
        }
      }
      // As the changelog of a partition of its own.
      const offsets = sealed.changes.map(() => this.#offset++);
      await store.settle(sealed, offsets, 0);
    }
    return { failed, outputs: this.#read(stage) };
  }

  /** What is due by the changelogs: store, key and due. */
  dues(): string[] {
    return [...this.#dues].map(([key, dueMs]) => `${key}@${String(dueMs)}`).sort();
  }

  /** Works what is due at a stream time, as a task does between two batches. */
  async fire(watermark: number): Promise<Out[]> {
    const outputs: OutRecord[] = [];
    for (const { at, stores } of this.program.dueOperators("event-time")) {
      const limits = { beforeMs: watermark, most: 500 };
      const entries = await entriesDue(this.#stores, stores, limits);
      const own = { at, entries, partition: 0, watermark, watermarkOf: () => watermark };
      const fired = await fireDue(this.program, {
        ...own,
        stores: this.#stores,
        calls: this.#calls.calls,
      });
      if (fired.halted !== null) throw fired.halted;
      outputs.push(...fired.outputs);
      this.#stores.endBatch();
    }
    return this.#read({ outputs });
  }

  /** What the changelogs say: entries by store and key, in the order of the keys. */
  state(): Record<string, Record<string, unknown>> {
    const inOrder = (map: ReadonlyMap<string, unknown>) =>
      Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
    const all = [...this.#written].filter(([, entries]) => entries.size > 0);
    return Object.fromEntries(
      all.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, entries]) => [name, inOrder(entries)]),
    );
  }
}

function inWords(outcome: Outcome): string {
  if (outcome.kind === "filtered") return `filtered by ${outcome.by}`;
  if (outcome.kind === "halted") return `halted ${outcome.error.code}`;
  if (outcome.kind !== "dead-lettered") return outcome.kind;
  const { step, code } = outcome.failure;
  return `dead-lettered at ${step} ${code}`;
}
