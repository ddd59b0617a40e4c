// merge: both streams as one.
import type { OperatorFacts } from "../../../core/plan.ts";
import { passing } from "../../../transform/operator.ts";
import type { StreamNode } from "../../nodes/stream-node.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Both streams as one; order is kept within each. `cards.merge("payments", cash)` */
    merge<W>(name: string, other: Stream<K, W>): Stream<K, V | W>;
  }
}

const facts: OperatorFacts = { work: passing, keepsAll: true };

export function merge<K, V>(this: StreamNode<K, V>, name: string, other: unknown): unknown {
  return this.next(name, { kind: "merge" }, facts, other);
}
