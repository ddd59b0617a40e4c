// Copies in the memory of this process, for those who run without Redis, and for tests. The same contract; nothing outlives
// the process, so after a start every store is read from its changelog. The copies of a task that leaves stay, and are
// rolled forward when the task comes back.
import { assert, DependencyError } from "../core/errors.ts";
import { PIECE_CHANGES_MAX } from "../core/state.ts";
import type {
  Applied,
  CheckedRead,
  CopyPosition,
  DueRead,
  LastDue,
  Rebuild,
  ScannedEntry,
  StateChange,
  StateCopies,
  StateCopy,
  StatePiece,
  StateScan,
} from "../core/state.ts";
import { DueIndex } from "./due-index.ts";

export function memoryCopies(): StateCopies {
  const copies = new Map<string, MemoryCopy>();
  return {
    copy: ({ prefix, store, partition }) => {
      const id = JSON.stringify([prefix, store, partition]);
      const copy = copies.get(id) ?? new MemoryCopy();
      copies.set(id, copy);
      return copy;
    },
    problems: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

interface MemoryEntry {
  value: Buffer;
  /** Entries are numbered in the order of their making, which is the order of the map. */
  readonly number: number;
}

/** Entries with their index, which change together. */
interface Contents {
  readonly entries: Map<string, MemoryEntry>;
  readonly index: DueIndex;
}

const nothing = (): Contents => ({ entries: new Map(), index: new DueIndex() });

class MemoryCopy implements StateCopy {
  #position: CopyPosition | null = null;
  #contents = nothing();
  #made = 0;
  /** A cursor means something only within one map: in another one it begins again. */
  #generation = 0;

  position(): Promise<CopyPosition | null> {
    return Promise.resolve(this.#position);
  }

  read(keys: readonly Buffer[]): Promise<CheckedRead> {
    return Promise.resolve({
      nextOffset: this.#position?.nextOffset ?? null,
      values: keys.map((key) => this.#contents.entries.get(key.toString("latin1"))?.value ?? null),
    });
  }

  due(beforeMs: number, keysMax: number, behind: number): Promise<DueRead> {
    const nextOffset = this.#position?.nextOffset ?? null;
    return Promise.resolve({
      nextOffset,
      ...this.#contents.index.first(beforeMs, keysMax, behind),
    });
  }

  lastDue(): Promise<LastDue> {
    const nextOffset = this.#position?.nextOffset ?? null;
    return Promise.resolve({ nextOffset, dueMs: this.#contents.index.lastMs });
  }

  apply({ expected, target, changes }: StatePiece): Promise<Applied> {
    return Promise.resolve().then(() => {
      assert(target.nextOffset > expected, "a piece moves its copy forward");
      assert(changes.length <= PIECE_CHANGES_MAX, "a piece is not larger than PIECE_CHANGES_MAX");
      const stored = this.#position?.nextOffset;
      if (stored === undefined) return "refused";
      // mistake: unchecked write
      if (stored !== expected) return stored >= target.nextOffset ? "already" : "refused";
      this.#change(this.#contents, changes);
      this.#position = target;
      return "applied";
    });
  }

  rebuild(): Promise<Rebuild> {
    const contents = nothing();
    let state: "open" | "finished" | "discarded" = "open";
    const lost = (): DependencyError => new DependencyError("MILL_STATE_REBUILD_LOST", "in memory");
    return Promise.resolve({
      put: async (changes) => {
        if (state !== "open") throw lost();
        this.#change(contents, changes);
      },
      finish: async (position) => {
        if (state === "discarded") throw lost();
        if (state === "finished") return;
        state = "finished";
        this.#replace(contents, position);
      },
      discard: async () => {
        if (state === "open") state = "discarded";
      },
    });
  }

  scan(cursor: string | null, entriesMax: number): Promise<StateScan> {
    const [generation, number] = cursor?.split(":").map(Number) ?? [];
    const after = generation === this.#generation ? (number as number) : -1;
    const { entries: all, index } = this.#contents;
    const entries: ScannedEntry[] = [];
    let last = after;
    for (const [id, entry] of all) {
      if (entry.number <= after) continue;
      if (entries.length >= entriesMax) return Promise.resolve(this.#page(entries, last));
      const key = Buffer.from(id, "latin1");
      entries.push({ key, value: entry.value, dueMs: index.dueOf(id) });
      last = entry.number;
    }
    return Promise.resolve(this.#page(entries, null));
  }

  remove(): Promise<void> {
    this.#replace(nothing(), null);
    return Promise.resolve();
  }

  #replace(contents: Contents, position: CopyPosition | null): void {
    // mistake: index lost on rename
    this.#contents = contents;
    this.#position = position;
    this.#generation++;
  }

  #page(entries: StateScan["entries"], last: number | null): StateScan {
    const cursor = last === null ? null : `${String(this.#generation)}:${String(last)}`;
    return { nextOffset: this.#position?.nextOffset ?? null, entries, cursor };
  }

  #change({ entries, index }: Contents, changes: readonly StateChange[]): void {
    for (const { key, value, dueMs } of changes) {
      const id = key.toString("latin1");
      const entry = entries.get(id);
      // Slices of a fetch would keep all of it in memory.
      if (value === null) entries.delete(id);
      else if (entry !== undefined) entry.value = Buffer.from(value);
      else entries.set(id, { value: Buffer.from(value), number: this.#made++ });
      // mistake: fired twice after a takeover
      if (dueMs === null) index.delete(id);
      // mistake: index left behind
      if (dueMs !== null) index.set(id, dueMs);
    }
  }
}
