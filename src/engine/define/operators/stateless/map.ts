// map: one value from one value.
import type { OperatorFacts } from "../../../core/plan.ts";
import { mapping, type MapOperation } from "../../../transform/stateless/map.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import type { Fn } from "../../stream.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Makes one value from one value. `map("normalise", (o) => ({ ...o, status: o.status.toLowerCase() }))` */
    map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R>;
  }
}

const facts: OperatorFacts = { work: mapping, changes: true, keepsAll: true, insideSink: true };

export const map: Method = operator(facts, (_, fn: MapOperation["fn"]): MapOperation => ({
  kind: "map",
  fn,
}));
