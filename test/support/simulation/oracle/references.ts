// What must come of a reference topic and of the topic that asks: the ledger of their part, and what its store has in the end.
import type { FlowSpec, SimulationCase } from "../case.ts";
import { REFERENCE_STORE, referenceEnd, referenceSource } from "../reference.ts";
import type { Expected } from "./expected.ts";
import { chainOf } from "./steps.ts";

/** Every record of both topics is an answer, or changes state. */
export function withReferences(of: SimulationCase, expected: Expected): Expected {
  const { flow } = of;
  if (flow.hasReference !== true) return expected;
  const { states, count } = referenceEnd(of);
  expected.stores.set(REFERENCE_STORE, new Map(states));
  const isFirst = !hasMain(flow);
  const counts = { consumed: count, emitted: count };
  const part = isFirst ? "main" : `in-${String(referenceSource(flow))}`;
  expected.ledgers.set(part, { counts, isLoose: false, isMixed: false });
  return expected;
}

/** A stream before it is in no table's own part. */
const hasMain = (flow: FlowSpec): boolean =>
  flow.apart !== undefined || flow.roots.some((root) => chainOf(flow, root) === null);
