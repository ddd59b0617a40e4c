// source: a topic as a stream. Parts begin with one.
import type { OperatorFacts, PlanTopic } from "../../../core/plan.ts";
import { passing } from "../../../transform/stateless/peek.ts";

export const reading: OperatorFacts = { work: passing, named: "topic", reads: true };

export const source = (topic: PlanTopic) => ({ kind: "source", topic }) as const;
