// peek: looks at each value and changes nothing.
import type { OperatorFacts } from "../../../core/plan.ts";
import { peeking, type Peek } from "../../../transform/stateless/peek.ts";
import type { AnyFn, StreamNode } from "../../nodes/stream-node.ts";
import type { Fn, Stream } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Looks at each value and changes nothing. `peek("seen", (o) => counter.inc())` */
    peek(name: string, fn: Fn<K, V, void>): Stream<K, V>;
  }
}

const facts: OperatorFacts = { work: peeking, keepsAll: true, insideSink: true };

export function peek<K, V>(this: StreamNode<K, V>, name: string, fn: Fn<K, V, void>): Stream<K, V> {
  const operation: Peek = { kind: "peek", fn: fn as AnyFn };
  return this.next(name, operation, facts);
}
