// Copies of state that outlive workers, as Redis keeps them, with all that befalls a Redis: lost calls and replies, calls
// that take effect after their sender gave up, a wipe, an older snapshot, a failover that loses the last writes.
import { DependencyError } from "../../../../src/engine/core/errors.ts";
import type {
  CopyPosition,
  Rebuild,
  StateCopies,
  StateCopy,
  StoreId,
} from "../../../../src/engine/core/state.ts";
import { memoryCopies } from "../../../../src/engine/state/memory-copy.ts";
import type { Clock } from "../../../../src/engine/core/ports.ts";
import type { WorkerSwitch } from "../../../../src/engine/testing/doubles/worker-switch.ts";
import type { Strike } from "./points.ts";

/** All that a copy holds; keys as latin1. */
export interface Holdings {
  readonly position: CopyPosition | null;
  readonly entries: ReadonlyMap<string, Buffer>;
  /** The index. */
  readonly dues: ReadonlyMap<string, number>;
}

const SNAPSHOTS_MAX = 12;

export class SimulatedRedis {
  readonly #inner = memoryCopies();
  readonly #clock: Clock;
  readonly #strike: Strike;
  readonly #known = new Map<string, StoreId>();
  /** What each copy held after each of its changes, oldest first. */
  readonly #history = new Map<string, Holdings[]>();
  isAvailable = true;

  constructor(clock: Clock, strike: Strike) {
    this.#clock = clock;
    this.#strike = strike;
  }

  /** The copies as one worker reaches them. */
  copies(worker: WorkerSwitch): StateCopies {
    return {
      copy: (id) => this.#copy(id, worker),
      problems: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    };
  }

  #copy(id: StoreId, worker: WorkerSwitch): StateCopy {
    this.#known.set(nameOf(id), id);
    const copy = this.#inner.copy(id);
    const through = <T>(call: string, work: () => Promise<T>): Promise<T> =>
      this.#through(call, { id, worker }, work);
    return {
      position: () => through("position", () => copy.position()),
      read: (keys) => through("read", () => copy.read(keys)),
      due: (...asked) => through("due", () => copy.due(...asked)),
      lastDue: () => through("lastDue", () => copy.lastDue()),
      apply: (piece) => through("apply", () => copy.apply(piece)),
      rebuild: () =>
        through("rebuild", async () => this.#rebuild(await copy.rebuild(), { id, worker })),
      scan: (cursor, entriesMax) => through("scan", () => copy.scan(cursor, entriesMax)),
      remove: () => through("remove", () => copy.remove()),
    };
  }

  #rebuild(rebuild: Rebuild, by: { id: StoreId; worker: WorkerSwitch }): Rebuild {
    return {
      put: (changes) => this.#through("put", by, () => rebuild.put(changes)),
      finish: (position) => this.#through("finish", by, () => rebuild.finish(position)),
      discard: () => this.#through("discard", by, () => rebuild.discard()),
    };
  }

  async #through<T>(
    call: string,
    { id, worker }: { id: StoreId; worker: WorkerSwitch },
    work: () => Promise<T>,
  ): Promise<T> {
    await worker.passed();
    const verdict = await this.#strike({ server: "redis", call, worker });
    await worker.passed();
    if (!this.isAvailable || verdict.lose === "request") throw away();
    if (verdict.lose === "late") {
      const later = this.#clock.sleep(verdict.lateMs ?? 0).then(() => this.#take(call, id, work));
      // Nobody hears of it any more.
      later.catch(() => undefined);
      throw away();
    }
    const result = await this.#take(call, id, work);
    await verdict.taken?.();
    await worker.passed();
    if (verdict.lose === "reply") throw away();
    return result;
  }

  async #take<T>(call: string, id: StoreId, work: () => Promise<T>): Promise<T> {
    const result = await work();
    if (call === "apply" || call === "finish") await this.#remember(id);
    return result;
  }

  async #remember(id: StoreId): Promise<void> {
    const history = this.#history.get(nameOf(id)) ?? [];
    this.#history.set(nameOf(id), history);
    history.push(await this.look(id));
    if (history.length > SNAPSHOTS_MAX) history.shift();
  }

  /** Every store that a worker has opened. */
  stores(): readonly StoreId[] {
    return [...this.#known.values()];
  }

  /** Of one store, or of all. */
  async wipe(which: number | null): Promise<boolean> {
    for (const id of this.#chosen(which)) await this.#inner.copy(id).remove();
    return this.#known.size > 0;
  }

  /** Puts back what was there so many changes ago, or the oldest that is remembered. */
  async putBack(which: number | null, changesAgo: number): Promise<boolean> {
    let isDone = false;
    for (const id of this.#chosen(which)) {
      const history = this.#history.get(nameOf(id)) ?? [];
      const old = history[Math.max(0, history.length - 1 - changesAgo)];
      if (old === undefined) continue;
      await this.#put(id, old);
      isDone = true;
    }
    return isDone;
  }

  /** As when a copy was not written for long. */
  async makeOld(ms: number): Promise<boolean> {
    for (const id of this.stores()) {
      const { position, ...holdings } = await this.look(id);
      if (position === null) continue;
      await this.#put(id, { ...holdings, position: { ...position, timeMs: position.timeMs - ms } });
    }
    return this.#known.size > 0;
  }

  #chosen(which: number | null): readonly StoreId[] {
    const all = this.stores();
    if (which === null || all.length === 0) return all;
    return [all[which % all.length] as StoreId];
  }

  async #put(id: StoreId, { position, entries, dues }: Holdings): Promise<void> {
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

  async look(id: StoreId): Promise<Holdings> {
    const copy = this.#inner.copy(id);
    // Asked in one turn, or they might be of two moments.
    const [{ entries }, { keys }, position] = await Promise.all([
      copy.scan(null, Infinity),
      copy.due(Infinity, Infinity, 0),
      copy.position(),
    ]);
    return {
      dues: new Map(keys.map(({ key, dueMs }) => [key.toString("latin1"), dueMs])),
      position,
      entries: new Map(
        entries.map(({ key, value }) => [key.toString("latin1"), Buffer.from(value)]),
      ),
    };
  }
}

const nameOf = ({ store, partition }: StoreId): string => `${store}/${String(partition)}`;

const away = (): DependencyError =>
  new DependencyError("MILL_REDIS_UNAVAILABLE", "the copies do not answer");
