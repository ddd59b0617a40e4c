// Copies in the memory of this process, for those who run without Redis, and for tests. The same contract; nothing outlives
// the process, so after a start every store is read from its changelog. The copies of a task that leaves stay, and are
// rolled forward when the task comes back.
import { assert, DependencyError } from "../core/errors.ts";
import { PIECE_CHANGES_MAX } from "../core/state.ts";
import type {
  Applied,
  CheckedRead,
  CopyPosition,
  Rebuild,
  StateChange,
  StateCopies,
  StateCopy,
  StatePiece,
  StateScan,
} from "../core/state.ts";

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

class MemoryCopy implements StateCopy {
  #position: CopyPosition | null = null;
  #entries = new Map<string, MemoryEntry>();
  #made = 0;
  /** A cursor means something only within one map: in another one it begins again. */
  #generation = 0;

  position(): Promise<CopyPosition | null> {
    return Promise.resolve(this.#position);
  }

  read(keys: readonly Buffer[]): Promise<CheckedRead> {
    return Promise.resolve({
      nextOffset: this.#position?.nextOffset ?? null,
      values: keys.map((key) => this.#entries.get(key.toString("latin1"))?.value ?? null),
    });
  }

  apply({ expected, target, changes }: StatePiece): Promise<Applied> {
    return Promise.resolve().then(() => {
      assert(target.nextOffset > expected, "a piece moves its copy forward");
      assert(changes.length <= PIECE_CHANGES_MAX, "a piece is not larger than PIECE_CHANGES_MAX");
      const stored = this.#position?.nextOffset;
      if (stored === undefined) return "refused";
      // mistake: unchecked write
      if (stored !== expected) return stored >= target.nextOffset ? "already" : "refused";
      this.#change(this.#entries, changes);
      this.#position = target;
      return "applied";
    });
  }

  rebuild(): Promise<Rebuild> {
    const entries = new Map<string, MemoryEntry>();
    let state: "open" | "finished" | "discarded" = "open";
    const lost = (): DependencyError => new DependencyError("MILL_STATE_REBUILD_LOST", "in memory");
    return Promise.resolve({
      put: async (changes) => {
        if (state !== "open") throw lost();
        this.#change(entries, changes);
      },
      finish: async (position) => {
        if (state === "discarded") throw lost();
        if (state === "finished") return;
        state = "finished";
        this.#replace(entries, position);
      },
      discard: async () => {
        if (state === "open") state = "discarded";
      },
    });
  }

  scan(cursor: string | null, entriesMax: number): Promise<StateScan> {
    const [generation, number] = cursor?.split(":").map(Number) ?? [];
    const after = generation === this.#generation ? (number as number) : -1;
    const entries: { key: Buffer; value: Buffer }[] = [];
    let last = after;
    for (const [id, entry] of this.#entries) {
      if (entry.number <= after) continue;
      if (entries.length >= entriesMax) return Promise.resolve(this.#page(entries, last));
      entries.push({ key: Buffer.from(id, "latin1"), value: entry.value });
      last = entry.number;
    }
    return Promise.resolve(this.#page(entries, null));
  }

  remove(): Promise<void> {
    this.#replace(new Map(), null);
    return Promise.resolve();
  }

  #replace(entries: Map<string, MemoryEntry>, position: CopyPosition | null): void {
    this.#entries = entries;
    this.#position = position;
    this.#generation++;
  }

  #page(entries: StateScan["entries"], last: number | null): StateScan {
    const cursor = last === null ? null : `${String(this.#generation)}:${String(last)}`;
    return { nextOffset: this.#position?.nextOffset ?? null, entries, cursor };
  }

  #change(entries: Map<string, MemoryEntry>, changes: readonly StateChange[]): void {
    for (const { key, value } of changes) {
      const id = key.toString("latin1");
      const entry = entries.get(id);
      // Slices of a fetch would keep all of it in memory.
      if (value === null) entries.delete(id);
      else if (entry !== undefined) entry.value = Buffer.from(value);
      else entries.set(id, { value: Buffer.from(value), number: this.#made++ });
    }
  }
}
