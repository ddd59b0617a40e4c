// A task of one partition without a broker: the engine's own program and stores, over copies in memory or in Redis. Records come in
// batches, and a checkpoint gives what they have changed to the copies, as it would to the changelog and then to them.
import { randomBytes } from "node:crypto";
import type { Pipeline } from "#engine";
import type { DecodedRecord } from "../../src/engine/core/outcome.ts";
import type { PlanStore } from "../../src/engine/core/plan.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import type {
  StateChange,
  StateCopies,
  StateCopy,
  StateEntry,
} from "../../src/engine/core/state.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { entryCodec, type EntryCodec } from "../../src/engine/state/entry-codec.ts";
import { KeyedStore, type Change } from "../../src/engine/state/keyed-store.ts";
import { CacheBudget, OpenStores } from "../../src/engine/state/task-stores.ts";
import { CallBook } from "../../src/engine/transform/calls/book.ts";
import { plainKeeping } from "../../src/engine/transform/calls/key-queue.ts";
import { entriesDue } from "../../src/engine/transform/agenda.ts";
import { fireDue } from "../../src/engine/transform/due.ts";
import { runBatch, type TimedRecord } from "../../src/engine/transform/pass.ts";
import { compile, type Program } from "../../src/engine/transform/program.ts";
import { TestCalls } from "../../test/support/calls.ts";

export const INPUT = "in";
const CHANGE_BYTES_MAX = 1_000_000;
const DUE_MAX = 500;
const FILL_CHANGES = 10_000;

export interface TimedEvent {
  readonly key: Buffer;
  readonly value: unknown;
  readonly atMs: number;
}

interface OpenStore {
  readonly store: KeyedStore;
  readonly codec: EntryCodec;
  readonly copy: StateCopy;
}

export class BenchTask {
  /** The numbers of results, and of changes that checkpoints have written. */
  readonly counts = { emitted: 0, changes: 0, changeBytes: 0 };
  readonly #program: Program;
  readonly #opened = new Map<string, OpenStore>();
  readonly #stores: OpenStores;
  readonly #calls = new TestCalls().calls;
  readonly #journal: Change[] = [];
  #timeMs = -Infinity;
  #read = 0n;
  #changed = 0n;

  private constructor(flow: Pipeline, cache: CacheBudget, copies: StateCopies) {
    const [part] = flow.plan().parts;
    if (part === undefined) throw new TypeError("the pipeline has no part");
    this.#program = compile(part, {
      onError: "halt",
      onBroken: () => undefined,
      keyOf: (_node, key) => String(key),
      keepingOf: () => plainKeeping,
      emitterOf: (node) => (value, cursor) => {
        const { key } = cursor.record.raw;
        const { timestamp } = cursor.record.context;
        const bytes = Buffer.from(JSON.stringify(value));
        const place = { topic: node.name, partition: 0, key, headers: [], timestamp };
        return cursor.stage.outputs.push({ ...place, value: bytes }) > 0;
      },
    });
    const prefix = `bench-${randomBytes(4).toString("hex")}`;
    for (const store of part.stores)
      this.#opened.set(store.name, this.#open(store, { prefix, cache, copies }));
    const stores = [...this.#opened].map(([name, { store }]) => [name, store] as const);
    this.#stores = new OpenStores(new Map(stores), this.#journal, (work) => work());
  }

  static async open(flow: Pipeline, copies: StateCopies, cacheBytes: number): Promise<BenchTask> {
    const task = new BenchTask(flow, new CacheBudget(cacheBytes), copies);
    for (const { copy } of task.#opened.values())
      await (await copy.rebuild()).finish({ nextOffset: 0n, timeMs: 0 });
    return task;
  }

  /** Puts entries into the copy of a store that is empty, as a rebuild does. */
  async fill(
    name: string,
    entries: Iterable<{ readonly key: Buffer; readonly entry: StateEntry }>,
  ): Promise<void> {
    const { codec, copy } = this.#opened.get(name) as OpenStore;
    const rebuild = await copy.rebuild();
    let changes: StateChange[] = [];
    for (const { key, entry } of entries) {
      changes.push({ key, value: codec.encode(entry), dueMs: entry.dueMs });
      if (changes.length < FILL_CHANGES) continue;
      await rebuild.put(changes);
      changes = [];
    }
    await rebuild.put(changes);
    await rebuild.finish({ nextOffset: 0n, timeMs: 0 });
  }

  #open(
    { name, changelog, ...rules }: PlanStore,
    {
      prefix,
      cache,
      copies,
    }: { readonly prefix: string; readonly cache: CacheBudget; readonly copies: StateCopies },
  ): OpenStore {
    const format = compileCodec(changelog.value, { schemas: new Map(), writerId: null });
    const codec = entryCodec(format, name, rules);
    const copy = copies.copy({ prefix, store: name, partition: 0 });
    const never = (): Promise<never> => Promise.reject(new Error(`${name}: the copy was lost`));
    const store = new KeyedStore({
      ...{ codec, copy, position: 0n, changeBytesMax: CHANGE_BYTES_MAX, journal: this.#journal },
      cache: cache.share({ store: name }),
      ...{ repair: never, discard: never, blame: never, learn: never },
    });
    return { store, codec, copy };
  }

  /** Works records as a task does: what is due too much for a batch goes before. */
  async batch(events: readonly TimedEvent[]): Promise<void> {
    const watermarkOf = this.#program.watermarks(INPUT as never, this.#times);
    for (let left = this.#recordsOf(events); left.length > 0;) {
      const own = { stores: this.#stores, calls: this.#calls, book: new CallBook(), watermarkOf };
      const made = await runBatch(this.#program, {
        records: left,
        ...own,
        watermarkBefore: this.#timeMs,
      });
      const failed = made.outcomes.find(({ kind }) => kind !== "emitted" && kind !== "late");
      if (failed !== undefined) throw new Error(`a record is ${failed.kind}`);
      this.#keep(made.outputs);
      if (made.isDueFirst) await this.#fire((left[0] as TimedRecord).watermark);
      const last = left[made.outcomes.length - 1];
      if (last !== undefined) this.#timeMs = last.watermark;
      left = left.slice(made.outcomes.length);
    }
  }

  /** Time goes on without a record. */
  async moveTo(timeMs: number): Promise<void> {
    this.#timeMs = timeMs;
    await this.#fire(timeMs);
  }

  readonly #times = { watermarkOf: (): number => this.#timeMs, keepsRecords: () => false };

  #recordsOf(events: readonly TimedEvent[]): TimedRecord[] {
    let timeMs = this.#timeMs;
    return events.map(({ key, value, atMs }): TimedRecord => {
      timeMs = Math.max(timeMs, atMs);
      const place = { topic: INPUT as never, partition: 0, offset: this.#read++, timestamp: atMs };
      const raw = { ...place, key, value: key, headers: [] };
      const context = { ...place, key: String(key), headers: [] };
      const record: DecodedRecord = { raw, value, context, originMs: timeMs };
      return { record, movesToMs: timeMs, watermark: timeMs };
    });
  }

  async #fire(timeMs: number): Promise<void> {
    const moving = this.#program.watermarks(INPUT as never, this.#times);
    const watermarkOf = (at: number): number => this.#program.watermark(at, this.#times);
    for (const { at, stores: names } of this.#program.dueOperators("event-time")) {
      const watermark = moving(at, timeMs);
      for (let worked = 0; ;) {
        const entries = await entriesDue(this.#stores, names, {
          beforeMs: watermark,
          most: DUE_MAX,
        });
        if (entries.length === 0) break;
        const own = { stores: this.#stores, calls: this.#calls, watermarkOf };
        const fired = await fireDue(this.#program, {
          at,
          entries,
          partition: 0,
          watermark,
          ...own,
        });
        if (fired.halted !== null) throw fired.halted;
        this.#keep(fired.outputs);
        worked += fired.worked;
        if (worked % (20 * DUE_MAX) < fired.worked) await this.checkpoint();
      }
    }
  }

  #keep(outputs: readonly OutRecord[]): void {
    this.counts.emitted += outputs.length;
    this.#stores.endBatch();
  }

  async checkpoint(): Promise<void> {
    for (const { store } of this.#opened.values()) {
      const sealed = store.seal();
      if (sealed === null) continue;
      this.counts.changes += sealed.changes.length;
      for (const { key, value } of sealed.changes)
        this.counts.changeBytes += key.length + (value?.length ?? 0);
      // As the changelog of a partition of its own.
      const offsets = sealed.changes.map(() => this.#changed++);
      await store.settle(sealed, offsets, 0);
    }
  }
}
