// Copies of state that things happen to: they are away, lose an answer, are lost or put back, or something else happens at
// the moment of an exact call.
import { DependencyError } from "../../src/engine/core/errors.ts";
import type {
  CopyPosition,
  Rebuild,
  StateCopies,
  StateCopy,
  StoreId,
} from "../../src/engine/core/state.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";

export type CopyCall =
  | "position"
  | "read"
  | "due"
  | "lastDue"
  | "apply"
  | "rebuild"
  | "put"
  | "finish"
  | "discard"
  | "scan"
  | "remove";

/** All that a copy holds; keys as latin1. */
export interface Snapshot {
  readonly position: CopyPosition | null;
  readonly entries: ReadonlyMap<string, Buffer>;
  /** The index. */
  readonly dues: ReadonlyMap<string, number>;
}

export class TroubledCopies implements StateCopies {
  readonly #inner = memoryCopies();
  readonly #known = new Map<string, StoreId>();
  readonly #losses: { readonly call: CopyCall; readonly after: boolean }[] = [];
  #isAvailable = true;
  /** Sees every call before it is made; what it waits for holds the call up. */
  onCall: (call: CopyCall, store: StoreId) => Promise<void> | void = () => undefined;

  copy(id: StoreId): StateCopy {
    this.#known.set(JSON.stringify([id.store, id.partition]), id);
    const copy = this.#inner.copy(id);
    const through = <T>(call: CopyCall, work: () => Promise<T>): Promise<T> =>
      this.#through(call, id, work);
    return {
      position: () => through("position", () => copy.position()),
      read: (keys) => through("read", () => copy.read(keys)),
      due: (...asked) => through("due", () => copy.due(...asked)),
      lastDue: () => through("lastDue", () => copy.lastDue()),
      apply: (piece) => through("apply", () => copy.apply(piece)),
      rebuild: () => through("rebuild", async () => this.#rebuild(id, await copy.rebuild())),
      scan: (cursor, entriesMax) => through("scan", () => copy.scan(cursor, entriesMax)),
      remove: () => through("remove", () => copy.remove()),
    };
  }

  #rebuild(id: StoreId, rebuild: Rebuild): Rebuild {
    return {
      put: (changes) => this.#through("put", id, () => rebuild.put(changes)),
      finish: (position) => this.#through("finish", id, () => rebuild.finish(position)),
      discard: () => this.#through("discard", id, () => rebuild.discard()),
    };
  }

  async #through<T>(call: CopyCall, id: StoreId, work: () => Promise<T>): Promise<T> {
    await this.onCall(call, id);
    if (!this.#isAvailable) throw away();
    const at = this.#losses.findIndex((loss) => loss.call === call);
    const [loss] = at < 0 ? [] : this.#losses.splice(at, 1);
    if (loss?.after === false) throw away();
    const result = await work();
    if (loss?.after === true) throw away();
    return result;
  }

  /** While away, every call fails with MILL_REDIS_UNAVAILABLE. */
  setAvailable(isAvailable: boolean): void {
    this.#isAvailable = isAvailable;
  }

  /** Loses the next call of this kind; with `after`, it takes effect and only its answer is lost. Calls add up. */
  failNext(call: CopyCall, options: { readonly after?: boolean } = {}): void {
    this.#losses.push({ call, after: options.after ?? false });
  }

  /** Every store that a worker has opened. */
  stores(): readonly StoreId[] {
    return [...this.#known.values()];
  }

  async wipe(): Promise<void> {
    for (const id of this.stores()) await this.#inner.copy(id).remove();
  }

  /** What the copies hold now; call the result to put it back. */
  async snapshot(): Promise<() => Promise<void>> {
    const taken = await Promise.all(
      this.stores().map(async (id) => ({ id, snapshot: await this.look(id) })),
    );
    return async () => {
      for (const { id, snapshot } of taken) await this.put(id, snapshot);
    };
  }

  /** As somebody would who restores a backup. */
  async put(id: StoreId, { position, entries, dues }: Snapshot): Promise<void> {
    const copy = this.#inner.copy(id);
    if (position === null) return copy.remove();
    const rebuild = await copy.rebuild();
    await rebuild.put(
      [...entries].map(([key, value]) => {
        return { key: Buffer.from(key, "latin1"), value, dueMs: dues.get(key) ?? null };
      }),
    );
    await rebuild.finish(position);
  }

  async look(id: StoreId): Promise<Snapshot> {
    const copy = this.#inner.copy(id);
    const { entries } = await copy.scan(null, Infinity);
    const { keys } = await copy.due(Infinity, Infinity, 0);
    return {
      position: await copy.position(),
      entries: new Map(
        entries.map(({ key, value }) => [key.toString("latin1"), Buffer.from(value)]),
      ),
      dues: new Map(keys.map(({ key, dueMs }) => [key.toString("latin1"), dueMs])),
    };
  }

  problems(): ReturnType<StateCopies["problems"]> {
    return this.#inner.problems();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const away = (): DependencyError =>
  new DependencyError("MILL_REDIS_UNAVAILABLE", "the copies do not answer");
