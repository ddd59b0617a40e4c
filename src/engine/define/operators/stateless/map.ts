// map: one value from one value.
import type { OperatorFacts } from "../../../core/plan.ts";
import { mapping, type MapOperation } from "../../../transform/stateless/map.ts";
import type { AnyFn, StreamNode } from "../../nodes/stream-node.ts";
import type { Fn } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** One value from one value. `map("normalise", (o) => ({ ...o, status: o.status.toLowerCase() }))` */
    map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R>;
  }
}

const facts: OperatorFacts = { work: mapping, changes: true, keepsAll: true, insideSink: true };

export function map<K, V, R>(
  this: StreamNode<K, V>,
  name: string,
  fn: Fn<K, V, R>,
): StreamNode<K, R> {
  const operation: MapOperation = { kind: "map", fn: fn as AnyFn };
  return this.next(name, operation, facts);
}
