// flatMap: none, one or many values from one.
import type { OperatorFacts } from "../../../core/plan.ts";
import { flatMapping, type FlatMap } from "../../../transform/stateless/flat-map.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import type { Fn } from "../../stream.ts";

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

export const flatMap: Method = operator(facts, (_, fn: FlatMap["fn"]): FlatMap => ({
  kind: "flat-map",
  fn,
}));
