// An operator as its oracle has it.
import type { Value } from "../../values.ts";
import type { Item, Trail } from "../way.ts";
import type { Result } from "./results.ts";

export type KeyedItem = Item & { readonly key: string; readonly value: Value };

/** One operator. */
export interface OperatorOracle {
  /** The results of a task are in one order, whatever their keys are. */
  readonly isInOrder?: boolean;
  /** As `take`, of a tombstone; left out where they are dropped. */
  takeDeleted?(item: Item, trail: Trail): boolean;
  /** Whether the record is late. */
  take(item: KeyedItem, trail: Trail): boolean;
  /** Its results, by the watermarks in front of it when everything was read: of a key in their order. */
  close(watermarks: readonly number[]): Iterable<Result>;
}

/** Whether a record is too late for an order; else it waits there. */
export function isLateIn(graceMs: number, { timeMs, originMs }: Item, trail: Trail): boolean {
  if (originMs > timeMs + graceMs) return true;
  trail.emitted++;
  return false;
}
