// compile(): from the nodes of a part to one function over a record. Operators become nested closures; a record's
// outputs are kept together, so that one that fails leaves none (one record, one outcome).
import { assert, MillraceError, OutputRefusedError, TransformError } from "../core/errors.ts";
import type { DecodedRecord, Failure, Outcome, Stage } from "../core/outcome.ts";
import { Mistake } from "../core/mistake.ts";
import type { ParkingOperation, Part, PlanNode, PlanOptions } from "../core/plan.ts";
import type { RawRecord } from "../core/record.ts";
import { runBatch, type Batch, type BatchResult } from "./pass.ts";
import type { Release, Released } from "./calls/release.ts";
import { release } from "./calls/release.ts";
import { CallError } from "./calls/policy.ts";
import type { Keeping } from "./calls/parked.ts";
import { callStepOf, type CallStep } from "./calls/map-async.ts";
import { closureOf, newTrail, type Cursor, type Held, type Next, type Trail } from "./operator.ts";
import { stepOf, type StatefulStep } from "./keyed/aggregate.ts";

/** Writes a value (undefined: a tombstone) of the record in hand to a topic or a table; false if it changes nothing. */
export type Emit = (value: unknown, cursor: Cursor) => boolean;

export interface CompileOptions {
  readonly onError: PlanOptions["onError"];
  /** How a terminal node writes: encoding and partitioning are the hallway's. */
  emitterOf(node: PlanNode): Emit;
  /** How a step keeps records whose key waits. */
  keepingOf(operation: ParkingOperation): Keeping;
  /** Called for a rule with `otherwise: "log"` that does not hold. */
  onBroken(rule: string): void;
  /** Changes of state that a broker has refused. */
  readonly refusals?: RefusedEffects;
}

/** Records whose changes of state cannot be written. */
export interface RefusedEffects {
  /** 0 where nothing needs to be asked. */
  readonly size: number;
  /** Throws when the record is one. */
  checkEffect(raw: RawRecord): void;
}

export interface OperatorCounts {
  readonly operator: string;
  passed: number;
  dropped: number;
  failed: number;
}

/** A part, ready to run. */
export interface Program {
  /** Whether it must be run by `runBatch`: it has state, or calls. */
  readonly hasState: boolean;
  /** Runs one record through every operator behind its source; what it made is in the stage, or nothing is. */
  run(record: DecodedRecord, stage: Stage): Outcome;
  /** Runs a batch through a part with state; one outcome a record, up to the first that halts. */
  runBatch(batch: Batch): Promise<BatchResult>;
  /** Steps whose failing keys wait in state. */
  readonly parking: readonly CallStep[];
  /** Takes parked keys on whose calls have ended. */
  release(release: Release): Promise<Released>;
  /** Tells a held change downstream; returns what failed, or null. */
  tell(held: Held, stage: Stage): Outcome | null;
  /** Cumulative, in the order of the plan. */
  readonly counts: readonly OperatorCounts[];
}

/** A step in front of which a batch waits. */
export type Step = StatefulStep | CallStep;

/** A part as closures, with what they share. */
export interface Wired {
  readonly part: Part;
  readonly cursor: Cursor;
  readonly counts: readonly OperatorCounts[];
  readonly entries: ReadonlyMap<string, Next>;
  /** In the order of the plan, so that what one tells, a later one has not worked on yet. */
  readonly steps: readonly Step[];
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
  const { counts } = wired;
  return {
    counts,
    hasState: wired.steps.length > 0,
    run: (record, stage) => runOne(wired, record, stage),
    runBatch: (batch) => runBatch(wired, batch),
    parking: wired.steps.filter((step) => "operation" in step && step.store !== null) as CallStep[],
    release: (given) => release(wired, given),
    tell: (held, stage) => tell(wired, held, stage),
  };
}

function wire(part: Part, options: CompileOptions): Wired {
  const cursor: Cursor = {
    record: null as never,
    stage: null as never,
    step: 0,
    trail: newTrail(0),
    pass: null,
  };
  const counts = part.nodes.map(({ name }) => ({
    operator: name,
    passed: 0,
    dropped: 0,
    failed: 0,
  }));
  const steps: Step[] = [];
  const entries = entriesOf(part, { cursor, counts, steps, options });
  const filtered = part.nodes.map(({ name }): Outcome => ({ kind: "filtered", by: name }));
  return {
    part,
    cursor,
    counts,
    entries,
    steps: steps.sort((a, b) => a.at - b.at),
    refusals: options.refusals ?? { size: 0, checkEffect: () => undefined },
    outcomeOf({ emitted, isQueued, isRepeat, nullKey, last }, { value }) {
      if (isQueued) return QUEUED;
      if (emitted > 0) return EMITTED;
      if (isRepeat) return REPEAT;
      if (nullKey) return NULL_KEY;
      return value === undefined ? TOMBSTONE : (filtered[last] as Outcome);
    },
    failed: (error) =>
      failed(error, part.nodes[cursor.step] as PlanNode, options.onError, counts[cursor.step]),
  };
}

function tell(wired: Wired, { at, record, trail, value }: Held, stage: Stage): Outcome | null {
  const step = wired.steps.find((one) => one.at === at);
  assert(step !== undefined, "a change was held by another program");
  const outputs = stage.outputs.length;
  Object.assign(wired.cursor, { record, trail, stage, pass: null });
  try {
    step.tell(value);
    return null;
  } catch (error) {
    stage.outputs.length = outputs;
    return wired.failed(error);
  }
}

function runOne(wired: Wired, record: DecodedRecord, stage: Stage): Outcome {
  const { cursor, entries, part } = wired;
  const entry = entries.get(record.raw.topic);
  assert(entry !== undefined, `part ${part.name} has no source ${record.raw.topic}`);
  const outputs = stage.outputs.length;
  const rows = stage.rows.length;
  const trail = newTrail(stage.index);
  cursor.record = record;
  cursor.stage = stage;
  cursor.trail = trail;
  try {
    entry(record.value);
  } catch (error) {
    stage.outputs.length = outputs;
    stage.rows.length = rows;
    return wired.failed(error);
  }
  return wired.outcomeOf(trail, record);
}

interface Wiring {
  readonly cursor: Cursor;
  readonly counts: OperatorCounts[];
  readonly steps: Step[];
  readonly options: CompileOptions;
}

/** One entry a source topic; built from the last node to the first, so every closure finds its followers. */
function entriesOf(part: Part, wiring: Wiring): Map<string, Next> {
  const followers = new Map<number, Next[]>();
  const entries = new Map<string, Next[]>();
  for (let at = part.nodes.length - 1; at >= 0; at--) {
    const node = part.nodes[at] as PlanNode;
    const own = {
      ...wiring,
      count: wiring.counts[at] as OperatorCounts,
      next: all(followers.get(node.id) ?? []),
      arms: followers.get(node.id) ?? [],
    };
    const next = closureOf(node, at, own);
    const step = callStepOf(node, at, own) ?? stepOf(node, at, own);
    if (step !== null) wiring.steps.push(step);
    for (const input of node.inputs) unshift(followers, input, next);
    if (node.operation.kind === "source") unshift(entries, node.operation.topic.name, next);
  }
  return new Map([...entries].map(([topic, nexts]) => [topic, all(nexts)]));
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

function failed(
  error: unknown,
  node: PlanNode,
  onError: PlanOptions["onError"],
  count: OperatorCounts | undefined,
): Outcome {
  if (count !== undefined) count.failed++;
  const known = error instanceof MillraceError ? error : thrown(error, node, onError);
  if (known.disposition !== "dead-letter") {
    if (known.disposition !== "halt") throw known;
    return { kind: "halted", error: known };
  }
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
