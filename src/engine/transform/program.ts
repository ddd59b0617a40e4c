// compile(): from the nodes of a part to one function over a record. Operators become nested closures; a record's
// outputs are kept together, so that one that fails leaves none (one record, one outcome).
import { assert, MillraceError, OutputRefusedError, TransformError } from "../core/errors.ts";
import type { DecodedRecord, Failure, Outcome, Stage } from "../core/outcome.ts";
import { Mistake } from "../core/mistake.ts";
import type { Part, PlanNode, PlanOptions } from "../core/plan.ts";
import { newTrail, type Cursor, type Held, type Item, type Origin, type Trail } from "./cursor.ts";
import type { CallStep } from "./calls/map-async.ts";
import { CallError } from "./calls/policy.ts";
import { release, type Release, type Released } from "./calls/release.ts";
import type {
  CompileOptions,
  Next,
  Operator,
  OperatorCounts,
  RefusedEffects,
  Work,
} from "./operator.ts";
import { runBatch, type Batch, type BatchResult } from "./pass.ts";

/** A part, ready to run. */
export interface Program {
  /** Whether records queue in it, so that it must be run by `runBatch`. */
  readonly needsBatch: boolean;
  /** Runs one record through every operator behind its source; what it made is in the stage, or nothing is. */
  run(record: DecodedRecord, stage: Stage): Outcome;
  /** Runs a batch through a part where records queue; one outcome a record, up to the first that halts. */
  runBatch(batch: Batch): Promise<BatchResult>;
  /** Steps whose failing keys are queued in state. */
  readonly parking: readonly CallStep[];
  /** Takes queued keys on whose calls have ended. */
  release(release: Release): Promise<Released>;
  /** Tells a held change downstream; returns what failed, or null. */
  tell(held: Held, stage: Stage): Outcome | null;
  /** Cumulative, in the order of the plan. */
  readonly counts: readonly OperatorCounts[];
}

/** A part as closures, with what they share. Places are those of the part's nodes. */
export interface Wired {
  readonly cursor: Cursor;
  readonly counts: readonly OperatorCounts[];
  readonly entries: ReadonlyMap<string, Next>;
  /** What is behind each place. */
  readonly followers: readonly Next[];
  /** By place; null where nothing queues. */
  readonly operators: readonly (Operator | null)[];
  /** Places by group, in the order of work. */
  readonly groups: readonly (readonly number[])[];
  readonly refusals: RefusedEffects;
  outcomeOf(trail: Trail, record: DecodedRecord): Outcome;
  /** What an error at the node in hand means for its record. Throws it when it is not the record's. */
  failed(error: unknown): Outcome;
}

const EMITTED: Outcome = { kind: "emitted" };
const QUEUED: Outcome = { kind: "emitted", isQueued: true };
const NULL_KEY: Outcome = { kind: "null-key" };
const REPEAT: Outcome = { kind: "deduplicated" };
const TOMBSTONE: Outcome = { kind: "tombstone" };

export function compile(part: Part, options: CompileOptions): Program {
  const wired = wire(part, options);
  const { cursor, counts, entries, operators, followers } = wired;
  const steps = operators as readonly (Partial<CallStep> | null)[];
  return {
    counts,
    needsBatch: wired.groups.length > 0,
    run(record, stage) {
      const entry = entries.get(record.raw.topic);
      assert(entry !== undefined, `part ${part.name} has no source ${record.raw.topic}`);
      const trail = newTrail(stage.index, null);
      cursor.record = record;
      cursor.stage = stage;
      cursor.trail = trail;
      return runOne(wired, entry, record.value) ?? wired.outcomeOf(trail, record);
    },
    runBatch: (batch) => runBatch(wired, batch),
    parking: steps.filter((step) => (step?.store ?? null) !== null) as CallStep[],
    release: (given) => release(wired, given),
    tell({ at, record, trail, value }, stage) {
      Object.assign(cursor, { record, trail, stage, queues: null });
      return runOne(wired, followers[at] as Next, value);
    },
  };
}

/** Null when nothing failed; else nothing is staged. */
function runOne(
  { cursor: { stage }, failed: failing }: Wired,
  next: Next,
  value: unknown,
): Outcome | null {
  const outputs = stage.outputs.length;
  const rows = stage.rows.length;
  try {
    next(value);
    return null;
  } catch (error) {
    stage.outputs.length = outputs;
    stage.rows.length = rows;
    return failing(error);
  }
}

function wire(part: Part, options: CompileOptions): Wired {
  const trail = newTrail(0, null);
  const cursor: Cursor = {
    record: null as never,
    stage: null as never,
    step: 0,
    trail,
    queues: null,
  };
  const counts = part.nodes.map(({ name }): OperatorCounts => {
    return { operator: name, passed: 0, dropped: 0, failed: 0 };
  });
  const filtered = part.nodes.map(({ name }): Outcome => ({ kind: "filtered", by: name }));
  return {
    ...closuresOf(part, { cursor, counts, options }),
    cursor,
    counts,
    refusals: options.refusals ?? { size: 0, checkEffect: () => undefined },
    outcomeOf({ emitted, isQueued, isRepeat, nullKey, last }, { value }) {
      if (isQueued) return QUEUED;
      if (emitted > 0) return EMITTED;
      if (isRepeat) return REPEAT;
      if (nullKey) return NULL_KEY;
      return value === undefined ? TOMBSTONE : (filtered[last] as Outcome);
    },
    failed(error) {
      (counts[cursor.step] as OperatorCounts).failed++;
      return failed(error, part.nodes[cursor.step] as PlanNode, options.onError);
    },
  };
}

interface Given {
  readonly cursor: Cursor;
  readonly counts: readonly OperatorCounts[];
  readonly options: CompileOptions;
}

type Closures = Pick<Wired, "entries" | "followers" | "operators" | "groups">;

/** Built from the last node to the first, so every closure finds its followers. */
function closuresOf(part: Part, { cursor, counts, options }: Given): Closures {
  const behind = new Map<number, Next[]>();
  const entries = new Map<string, Next[]>();
  const operators: (Operator | null)[] = part.nodes.map(() => null);
  const followers: Next[] = [];
  const groups = part.groups.map((ids) =>
    ids.map((id) => part.nodes.findIndex((node) => node.id === id)),
  );
  for (let at = part.nodes.length - 1; at >= 0; at--) {
    const node = part.nodes[at] as PlanNode;
    const arms = behind.get(node.id) ?? [];
    const next = (followers[at] = all(arms));
    const count = counts[at] as OperatorCounts;
    const group = groups.findIndex((places) => places.includes(at));
    const made = (node.facts.work as Work)(node, { at, cursor, count, next, arms, options });
    if (typeof made !== "function") operators[at] = made;
    node.inputs.forEach((id, input) =>
      unshift(
        behind,
        id,
        typeof made === "function" ? made : entering(cursor, { group, at, input }),
      ),
    );
    if (node.facts.reads === true && typeof made === "function")
      unshift(entries, node.operation.topic?.name ?? "", made);
  }
  const joined = [...entries].map(([topic, nexts]) => [topic, all(nexts)] as const);
  return { entries: new Map(joined), operators, groups, followers };
}

/** In front of an operator: the record waits until the keys of the whole batch are in memory. */
function entering(
  cursor: Cursor,
  { group, at, input }: { readonly group: number; readonly at: number; readonly input: number },
): Next {
  return function enter(value) {
    const { queues, record, trail } = cursor;
    assert(queues !== null, "an operator with state or calls outside a batch");
    trail.last = at;
    const origin = trail.origin as Origin;
    (queues.items[group] as Item[]).push({
      at,
      entry: "record",
      input,
      record,
      trail,
      origin,
      value,
      key: null,
      prepared: undefined,
    });
  };
}

const unshift = <T>(lists: Map<T, Next[]>, at: T, next: Next): void => {
  const list = lists.get(at);
  if (list === undefined) lists.set(at, [next]);
  else list.unshift(next);
};

/** Calls each follower in the order of the plan. */
function all(nexts: readonly Next[]): Next {
  const [first, second] = nexts;
  if (first === undefined) return () => undefined;
  if (second === undefined) return first;
  return (value) => {
    for (const next of nexts) next(value);
  };
}

function failed(error: unknown, node: PlanNode, onError: PlanOptions["onError"]): Outcome {
  const known = error instanceof MillraceError ? error : thrown(error, node, onError);
  if (known.disposition === "halt") return { kind: "halted", error: known };
  if (known.disposition !== "dead-letter") throw known;
  return { kind: "dead-lettered", failure: failureOf(known, node) };
}

/** The user's own error is told by its name only, since its text may quote the value. */
function thrown(error: unknown, node: PlanNode, onError: PlanOptions["onError"]): TransformError {
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

const failureOf = (error: MillraceError, node: PlanNode): Failure => ({
  ...(stages[error.code] ?? { class: "transform", stage: "transform" }),
  ...placeOfFailure(error, node),
  rule: stages[error.code]?.class === "rule" ? node.name : null,
  ...(error instanceof CallError ? { tried: error.tried } : {}),
  code: error.code,
  message: error.message,
});
