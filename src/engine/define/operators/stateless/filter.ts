// filter: keeps the records whose test is true.
import type { OperatorFacts } from "../../../core/plan.ts";
import { filtering, type Filter } from "../../../transform/stateless/filter.ts";
import type { AnyFn, StreamNode } from "../../nodes/stream-node.ts";
import type { Fn, Guard, Stream } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Keeps the records whose test is true; a type guard narrows. `filter("paid", (o) => o.paid)` */
    filter<S extends V>(name: string, test: Guard<K, V, S>): Stream<K, S>;
    filter(name: string, test: Fn<K, V, boolean>): Stream<K, V>;
  }
}

const facts: OperatorFacts = { work: filtering, insideSink: true };

export function filter<K, V, S extends V>(
  this: StreamNode<K, V>,
  name: string,
  test: Fn<K, V, boolean>,
): Stream<K, S> {
  const operation: Filter = { kind: "filter", test: test as AnyFn };
  return this.next(name, operation, facts);
}
