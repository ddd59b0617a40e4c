// The failure of a record by an error in a step, as its letter describes it.
import {
  assert,
  MillraceError,
  Mistake,
  OutputRefusedError,
  TransformError,
} from "../core/errors.ts";
import type { Failure, Outcome } from "../core/outcome.ts";
import type { PlanNode, PlanOptions } from "../core/plan.ts";
import { CallError } from "./calls/policy.ts";

/** The user's own error is reported by its name only, since its text may quote the value. */
export function thrown(
  error: unknown,
  node: PlanNode,
  onError: PlanOptions["onError"],
): TransformError {
  const isMistake = error instanceof Mistake;
  const of = isMistake ? "MILL_TRANSFORM_RESULT" : "MILL_TRANSFORM_THREW";
  const code = onError === "halt" ? "MILL_TRANSFORM_HALT" : of;
  const name = error instanceof Error ? error.name : typeof error;
  const step = `${node.operation.kind} "${node.name}"`;
  const detail = isMistake ? `${step}: ${error.message}` : `${name} in ${step}`;
  return new TransformError(code, detail, { cause: error });
}

const stages: Partial<Record<string, Pick<Failure, "class" | "stage">>> = {
  MILL_ENCODE_VALUE: { class: "schema", stage: "encode" },
  MILL_RECORD_TOO_LARGE: { class: "size", stage: "encode" },
  MILL_OUTPUT_REFUSED: { class: "sink", stage: "send" },
  MILL_KEY_FULL: { class: "full", stage: "transform" },
  MILL_RULE_BROKEN: { class: "rule", stage: "transform" },
  MILL_DISTINCT_CONFLICT: { class: "rule", stage: "transform" },
};

/** A record that a broker refuses failed at the topic. */
const placeOfFailure = (
  error: MillraceError,
  node: PlanNode,
): Pick<Failure, "step"> & Partial<Pick<Failure, "stage">> =>
  error instanceof OutputRefusedError
    ? { stage: "send", step: error.where.topic ?? node.name }
    : { step: node.name };

export const failureOf = (error: MillraceError, node: PlanNode): Failure => ({
  ...(stages[error.code] ?? { class: "transform", stage: "transform" }),
  ...placeOfFailure(error, node),
  rule: stages[error.code]?.class === "rule" ? node.name : null,
  ...(error instanceof CallError ? { tried: error.tried } : {}),
  code: error.code,
  message: error.message,
});

/** An entry that was due has failed, and its operator cannot pass over it. */
export function cannotGiveUp(outcome: Outcome | undefined): Outcome {
  if (outcome?.kind !== "dead-lettered") assert(false, "what did not fail was given up");
  const { step, code, message } = outcome.failure;
  return {
    kind: "halted",
    error: new MillraceError("MILL_DUE_FAILED", `${step}: ${code}, ${message}`),
  };
}
