// filter: keeps the records whose test is true.
import type { OperatorFacts } from "../../../core/plan.ts";
import { filtering, type Filter } from "../../../transform/stateless/filter.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import type { Fn, Guard } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Keeps the records whose test is true; a type guard narrows. `filter("paid", (o) => o.paid)` */
    filter<S extends V>(name: string, test: Guard<K, V, S>): Stream<K, S>;
    filter(name: string, test: Fn<K, V, boolean>): Stream<K, V>;
  }
}

const facts: OperatorFacts = { work: filtering, insideSink: true };

export const filter: Method = operator(facts, (_, test: Filter["test"]): Filter => ({
  kind: "filter",
  test,
}));
