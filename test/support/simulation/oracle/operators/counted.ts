// Count windows as the oracle has them: the records of a key one after the other, or sorted by their times.
import { counted, countedIn } from "../../operators/windows/counted.ts";
import type { Node } from "../../case.ts";
import { numberOf } from "../../values.ts";
import type { Item, Trail } from "../way.ts";
import { isLateIn, type KeyedItem, type OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

export class CountedOracle implements OperatorOracle {
  readonly isInOrder = true;
  readonly #node: Node;
  /** In the order of their partitions and offsets. */
  readonly #items: KeyedItem[] = [];

  constructor(node: Node) {
    this.#node = node;
  }

  take(item: KeyedItem, trail: Trail): boolean {
    if (countedIn(this.#node).orderMs === null) trail.emitted++;
    else if (this.takeDeleted(item, trail)) return true;
    trail.writes.push(() => this.#items.push(item));
    return false;
  }

  /** In an order a tombstone waits too. */
  takeDeleted(item: Item, trail: Trail): boolean {
    const { orderMs } = countedIn(this.#node);
    return orderMs !== null && isLateIn(orderMs, item, trail);
  }

  *close(watermarks: readonly number[]): Iterable<Result> {
    const { size, orderMs, emit } = countedIn(this.#node);
    const open = new Map<string, KeyedItem[]>();
    for (const item of this.#sorted(watermarks)) {
      const { key, partition } = item;
      const own = [...(open.get(key) ?? []), item];
      open.set(key, own.length === size ? [] : own);
      if (own.length < size && emit === "close") continue;
      const times = own.map(({ timeMs }) => timeMs);
      const [startMs, endMs] = [Math.min(...times), Math.max(...times)];
      const sum = own.reduce((all, one) => all + numberOf(one.value), 0);
      const originMs = orderMs === null ? Math.max(item.originMs, endMs) : endMs;
      const row = counted(sum, startMs, endMs);
      yield { key, partition, value: row, timeMs: endMs, originMs };
    }
  }

  #sorted(watermarks: readonly number[]): readonly KeyedItem[] {
    const { orderMs } = countedIn(this.#node);
    if (orderMs === null) return this.#items;
    return this.#items
      .filter(({ timeMs, partition }) => timeMs + orderMs < (watermarks[partition] ?? -Infinity))
      .sort((a, b) => a.timeMs - b.timeMs);
  }
}
