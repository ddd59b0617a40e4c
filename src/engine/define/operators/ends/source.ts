// source: a topic as a stream. Parts begin with one.
import type { Operation, OperatorFacts, PlanTopic } from "../../../core/plan.ts";
import { passing } from "../../../transform/operator.ts";

export const reading: OperatorFacts = {
  work: passing,
  named: "topic",
  reads: true,
  details: ({ topic }: Operation): Readonly<Record<string, string>> =>
    topic?.loadFirst === true ? { order: "read first, at a first start" } : {},
};

export const source = (topic: PlanTopic): Operation => ({ kind: "source", topic });
