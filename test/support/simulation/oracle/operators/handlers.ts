// Handlers, their timers and steps with an order, as the oracle has them: one record after the other, and before each the timers
// that time has passed, in the order of due and key.
import type { Node } from "../../case.ts";
import {
  isIdle,
  isOfSteps,
  isThrowing,
  onRecord,
  onTimer,
  orderMsIn,
  type Armed,
  type Handling,
} from "../../operators/handlers.ts";
import { Refused, step, type Value } from "../../values.ts";
import type { Item, Trail } from "../way.ts";
import { isLateIn, type KeyedItem, type OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

type Named = "soon" | "later";
interface SetTimer {
  readonly dueMs: number;
  /** The origin time of what has set it. */
  readonly setMs: number;
}

/** One key. */
class Key {
  sum: number | null = null;
  armed: Armed | null = null;
  readonly timers = new Map<Named, SetTimer>();
  /** The origin time of what is in hand. */
  setMs = 0;

  readonly handling: Handling = {
    state: {
      sum: {
        get: () => this.sum,
        set: (sum) => (this.sum = sum),
        clear: () => (this.sum = null),
      },
      armed: {
        get: () => this.armed,
        set: (armed) => (this.armed = armed),
        clear: () => (this.armed = null),
      },
    },
    timers: { soon: this.#timer("soon"), later: this.#timer("later") },
  };

  #timer(name: Named) {
    return {
      at: (dueMs: number): void => void this.timers.set(name, { dueMs, setMs: this.setMs }),
      cancel: (): void => void this.timers.delete(name),
    };
  }
}

interface Firing extends SetTimer {
  readonly key: string;
  readonly name: Named;
}

const isSooner = (a: Firing, b: Firing): boolean =>
  a.dueMs !== b.dueMs ? a.dueMs < b.dueMs : a.key !== b.key ? a.key < b.key : a.name < b.name;

export class HandlersOracle implements OperatorOracle {
  readonly isInOrder = true;
  readonly #node: Node;
  readonly #isGrouped: boolean;
  /** By source partition; behind a shared key all together. */
  readonly #items: KeyedItem[][] = [];
  readonly #keys = new Map<string, Key>();

  constructor(node: Node, isGrouped: boolean) {
    [this.#node, this.#isGrouped] = [node, isGrouped];
  }

  take(item: KeyedItem, trail: Trail): boolean {
    if (orderMsIn(this.#node) !== null) {
      if (this.takeDeleted(item, trail)) return true;
    } else if (isThrowing(item.value)) throw new Refused();
    else if (isIdle(item.value)) return false;
    else trail.emitted++;
    const partition = this.#isGrouped ? 0 : item.partition;
    trail.writes.push(() => (this.#items[partition] ??= []).push({ ...item, partition }));
    return false;
  }

  /** In an order a tombstone waits too. */
  takeDeleted(item: Item, trail: Trail): boolean {
    const graceMs = orderMsIn(this.#node);
    return graceMs !== null && isLateIn(graceMs, item, trail);
  }

  *close(watermarks: readonly number[]): Iterable<Result> {
    const graceMs = orderMsIn(this.#node);
    for (const [partition, items = []] of this.#items.entries()) {
      const watermark = watermarks[partition] ?? -Infinity;
      if (graceMs === null) {
        for (const item of items) yield* this.#work(item, item.movedMs);
        yield* this.#fire(partition, watermark);
        continue;
      }
      // Of one time in the order of their offsets.
      for (const item of items.toSorted((a, b) => a.timeMs - b.timeMs))
        if (item.timeMs + graceMs < watermark) {
          const { timeMs } = item;
          yield* this.#work({ ...item, originMs: timeMs }, timeMs);
        }
      yield* this.#fire(partition, watermark - graceMs - 1);
    }
  }

  /** Timers fire before it. */
  *#work(item: KeyedItem, nowMs: number): Iterable<Result> {
    const { key, partition, value, timeMs, originMs } = item;
    yield* this.#fire(partition, nowMs);
    const own = this.#key(key, partition);
    own.setMs = originMs;
    for (const made of this.#made(own, value, timeMs))
      yield { key, partition, value: made, timeMs, originMs };
  }

  #made(own: Key, value: Value, timeMs: number): readonly Value[] {
    if (!isOfSteps(this.#node)) return onRecord(value, timeMs, own.handling);
    const { state, emit } = step(own.sum, value, 1);
    own.sum = state;
    return emit;
  }

  *#fire(partition: number, upToMs: number): Iterable<Result> {
    for (;;) {
      const first = this.#first(partition);
      if (first === null || first.dueMs > upToMs) return;
      const { key, name, dueMs, setMs } = first;
      const own = this.#key(key, partition);
      own.timers.delete(name);
      own.setMs = Math.max(dueMs, setMs);
      for (const value of onTimer(name, dueMs, own.handling))
        yield { key, partition, value, timeMs: dueMs, originMs: own.setMs };
    }
  }

  #first(partition: number): Firing | null {
    let first: Firing | null = null;
    for (const [place, { timers }] of this.#keys) {
      const [own, ...key] = place.split(" ");
      if (own !== String(partition)) continue;
      for (const [name, timer] of timers) {
        const one = { ...timer, key: key.join(" "), name };
        if (first === null || isSooner(one, first)) first = one;
      }
    }
    return first;
  }

  #key(key: string, partition: number): Key {
    const place = `${String(partition)} ${key}`;
    const own = this.#keys.get(place) ?? new Key();
    this.#keys.set(place, own);
    return own;
  }
}

/** Each record once, by whatever it comes out. */
export class WallOracle implements OperatorOracle {
  readonly isInOrder = false;
  readonly #items: KeyedItem[] = [];

  take(item: KeyedItem, trail: Trail): boolean {
    trail.emitted++;
    trail.writes.push(() => this.#items.push(item));
    return false;
  }

  close(): readonly Result[] {
    return this.#items.map(({ key, partition, value, timeMs, originMs, origin }) => {
      return { key, partition, value, timeMs, originMs, origin };
    });
  }
}
