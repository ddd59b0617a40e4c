// A keyed store over a copy and a changelog, with what happens to them in the test's hand.
import type { CodecOptions, Codec } from "../../src/engine/core/schema.ts";
import type { Labels } from "../../src/engine/core/ports.ts";
import type { StateChange, StateKey, StoreId } from "../../src/engine/core/state.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { entryCodec, type EntryCodec } from "../../src/engine/state/entry-codec.ts";
import type { Sealed } from "../../src/engine/state/cell.ts";
import { KeyedStore, type Change } from "../../src/engine/state/keyed-store.ts";
import { CacheBudget, OpenStores } from "../../src/engine/state/task-stores.ts";
import { TroubledCopies } from "./troubled-copies.ts";

const id: StoreId = { prefix: "p", store: "s", partition: 0 };
const options: CodecOptions = { schemas: new Map(), writerId: null };

/** What JSON can say. */
export const plainCodec: Codec = compileCodec({ kind: "tagged-json" }, options);

export const keyOf = (text: string): StateKey => ({
  id: text,
  bytes: Buffer.from(text, "latin1"),
});
export const keysOf = (...texts: readonly string[]): Map<string, StateKey> =>
  new Map(texts.map((text) => [text, keyOf(text)]));

export interface BenchOptions {
  readonly cacheBytes?: number;
  readonly codec?: EntryCodec;
  readonly changeBytesMax?: number;
  readonly learn?: (values: readonly Buffer[]) => Promise<void>;
}

/** One store of one task. Its changelog is a list of offsets and changes, and repairs read it. */
export class StoreBench {
  readonly id = id;
  readonly copies = new TroubledCopies();
  readonly copy = this.copies.copy(id);
  readonly codec: EntryCodec;
  readonly journal: Change[] = [];
  readonly store: KeyedStore;
  readonly stores: OpenStores;
  /** Keys that were in memory, and that had to be fetched. */
  readonly counts = { hits: 0, misses: 0 };
  readonly changelog: (StateChange & { readonly offset: bigint })[] = [];
  end = 0n;
  repairs = 0;
  discards = 0;
  /** What a repair does before it answers. */
  onRepair: () => Promise<void> = () => Promise.resolve();

  constructor({ cacheBytes = 1e9, codec, changeBytesMax = 1e6, learn }: BenchOptions = {}) {
    this.codec = codec ?? entryCodec(plainCodec, "s");
    const count = (_name: string, { from }: Labels, n = 1): void => {
      this.counts[from === "cache" ? "hits" : "misses"] += n;
    };
    this.store = new KeyedStore({
      codec: this.codec,
      changeBytesMax,
      copy: this.copy,
      position: 0n,
      cache: new CacheBudget(cacheBytes, { count }).share({}),
      journal: this.journal,
      repair: () => this.#repair(),
      discard: () => {
        this.discards++;
        return this.#repair();
      },
      blame: (key, value, why) => {
        const newest = this.changelog.findLast((change) => change.key.equals(key));
        return newest?.value?.equals(value) === true ? Promise.reject(why) : Promise.resolve();
      },
      learn: learn ?? (() => Promise.resolve()),
    });
    this.stores = new OpenStores(new Map([["s", this.store]]), this.journal, (work) => work());
  }

  /** A store whose copy is there, and empty. */
  static async open(options: BenchOptions = {}): Promise<StoreBench> {
    const bench = new StoreBench(options);
    await (await bench.copy.rebuild()).finish({ nextOffset: 0n, timeMs: 0 });
    return bench;
  }

  /** As `follow` does from nothing: the whole changelog of now into a new copy. */
  async #repair(): Promise<bigint> {
    this.repairs++;
    const { end } = this;
    const changes = this.changelog.filter(({ offset }) => offset < end);
    await this.onRepair();
    const rebuild = await this.copy.rebuild();
    await rebuild.put(changes);
    await rebuild.finish({ nextOffset: end, timeMs: 0 });
    return end;
  }

  /** Loads the keys and sets them, as one batch that is not done yet. */
  async work(values: Readonly<Record<string, unknown>>, timestamp = 0): Promise<void> {
    await this.store.load(keysOf(...Object.keys(values)));
    for (const [key, value] of Object.entries(values))
      this.store.set(keyOf(key), value === null ? null : { value, timestamp, dueMs: null });
  }

  /** A batch from beginning to end. */
  async batch(values: Readonly<Record<string, unknown>>, timestamp = 0): Promise<void> {
    await this.work(values, timestamp);
    this.stores.endBatch();
  }

  /** As `batch`, with deleted keys of which the time is kept. */
  async delete(keys: readonly string[], timestamp: number): Promise<void> {
    await this.store.load(keysOf(...keys));
    for (const key of keys) this.store.set(keyOf(key), { value: null, timestamp, dueMs: null });
    this.stores.endBatch();
  }

  /** What Kafka does with sealed changes: they lie in the changelog, and a commit marker behind them. */
  decide(sealed: Sealed): bigint[] {
    const offsets = sealed.changes.map((_, i) => this.end + BigInt(i));
    sealed.changes.forEach((change, i) =>
      this.changelog.push({ ...change, offset: offsets[i] as bigint }),
    );
    this.end += BigInt(offsets.length) + 1n;
    return offsets;
  }

  /** A checkpoint from beginning to end. */
  async checkpoint(): Promise<Sealed | null> {
    const sealed = this.store.seal();
    if (sealed !== null) await this.store.settle(sealed, this.decide(sealed), 0);
    return sealed;
  }

  /** Values of a batch that only asks. */
  async get(...keys: readonly string[]): Promise<unknown[]> {
    await this.store.load(keysOf(...keys));
    const values = keys.map((key) => this.store.get(keyOf(key))?.value ?? null);
    this.stores.endBatch();
    return values;
  }

  /** Where the copy stands, and what is in it. */
  async inCopy(): Promise<{ position: bigint | null; values: Record<string, unknown> }> {
    const { position, entries } = await this.copies.look(id);
    const values = [...entries].map(([key, bytes]) => [
      key,
      this.codec.decode(Buffer.from(key, "latin1"), bytes).value,
    ]);
    return {
      position: position?.nextOffset ?? null,
      values: Object.fromEntries(values) as Record<string, unknown>,
    };
  }

  /** The changelog from the copy's position on brings it to what the whole changelog says. */
  async copyAgrees(): Promise<boolean> {
    const { position, entries } = await this.copies.look(id);
    const from = position?.nextOffset ?? 0n;
    const copy = new Map([...entries].map(([key, value]) => [key, value.toString("latin1")]));
    const truth = new Map<string, string>();
    for (const { key, value, offset } of this.changelog)
      for (const map of offset < from ? [truth] : [truth, copy])
        if (value === null) map.delete(key.toString("latin1"));
        else map.set(key.toString("latin1"), value.toString("latin1"));
    const text = (map: Map<string, string>): string => JSON.stringify([...map].sort());
    return text(truth) === text(copy);
  }

  /** A sealed checkpoint in words: its changes by key. */
  changesOf(sealed: Sealed | null): Record<string, unknown> | null {
    if (sealed === null) return null;
    return Object.fromEntries(
      sealed.changes.map(({ key, value }) => [
        key.toString("latin1"),
        value === null ? null : this.codec.decode(key, value).value,
      ]),
    );
  }
}
