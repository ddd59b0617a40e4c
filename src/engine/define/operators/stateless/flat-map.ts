// flatMap: none, one or many values from one.
import type { OperatorFacts } from "../../../core/plan.ts";
import { flatMapping, type FlatMap } from "../../../transform/stateless/flat-map.ts";
import type { AnyFn, StreamNode } from "../../nodes/stream-node.ts";
import type { Fn, Stream } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** None, one or many values from one. `flatMap("lines", (o) => o.lines)` */
    flatMap<R>(name: string, fn: Fn<K, V, Iterable<R>>): Stream<K, R>;
  }
}

const facts: OperatorFacts = {
  work: flatMapping,
  changes: true,
  multiplies: true,
  insideSink: true,
};

export function flatMap<K, V, R>(
  this: StreamNode<K, V>,
  name: string,
  fn: Fn<K, V, Iterable<R>>,
): Stream<K, R> {
  const operation: FlatMap = { kind: "flat-map", fn: fn as AnyFn };
  return this.next(name, operation, facts);
}
