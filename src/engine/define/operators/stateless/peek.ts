// peek: looks at each value and changes nothing.
import type { OperatorFacts } from "../../../core/plan.ts";
import { peeking, type Peek } from "../../../transform/stateless/peek.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import type { Fn } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Looks at each value and changes nothing. `peek("seen", (o) => counter.inc())` */
    peek(name: string, fn: Fn<K, V, void>): Stream<K, V>;
  }
}

const facts: OperatorFacts = { work: peeking, keepsAll: true, insideSink: true };

export const peek: Method = operator(facts, (_, fn: Peek["fn"]): Peek => ({ kind: "peek", fn }));
