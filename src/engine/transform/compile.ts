// compile(): from the nodes of a part to one function over a record. Operators become nested closures; a record's
// outputs are kept together, so that one that fails leaves none (one record, one outcome).
import { assert, MillraceError, TransformError } from "../core/errors.ts";
import type { DecodedRecord, Failure, Outcome, Stage } from "../core/outcome.ts";
import type { Part, PlanNode, PlanOptions } from "../core/plan.ts";
import { closureOf, type Cursor, type Next } from "./operators.ts";

/** Writes a value (undefined: a tombstone) of the record in hand to a topic or a table; false if it changes nothing. */
export type Emit = (value: unknown, cursor: Cursor) => boolean;

export interface CompileOptions {
  readonly onError: PlanOptions["onError"];
  /** How a terminal node writes: encoding and partitioning are the hallway's. */
  emitterOf(node: PlanNode): Emit;
  /** Called for a rule with `otherwise: "log"` that does not hold. */
  onBroken(rule: string): void;
}

export interface OperatorCounts {
  readonly operator: string;
  passed: number;
  dropped: number;
  failed: number;
}

/** A part, ready to run. */
export interface Program {
  /** Runs one record through every operator behind its source; what it made is in the stage, or nothing is. */
  run(record: DecodedRecord, stage: Stage): Outcome;
  /** Cumulative, in the order of the plan. */
  readonly counts: readonly OperatorCounts[];
}

const EMITTED: Outcome = { kind: "emitted" };
const NULL_KEY: Outcome = { kind: "null-key" };

export function compile(part: Part, options: CompileOptions): Program {
  const cursor = newCursor();
  const counts = part.nodes.map(({ name }) => ({
    operator: name,
    passed: 0,
    dropped: 0,
    failed: 0,
  }));
  const entries = entriesOf(part, { cursor, counts, options });
  const filtered = part.nodes.map(({ name }): Outcome => ({ kind: "filtered", by: name }));
  return {
    counts,
    run(record, stage) {
      const entry = entries.get(record.raw.topic);
      assert(entry !== undefined, `part ${part.name} has no source ${record.raw.topic}`);
      const outputs = stage.outputs.length;
      const rows = stage.rows.length;
      reset(cursor, record, stage);
      try {
        entry(record.value);
      } catch (error) {
        stage.outputs.length = outputs;
        stage.rows.length = rows;
        return failed(
          error,
          part.nodes[cursor.step] as PlanNode,
          options.onError,
          counts[cursor.step],
        );
      }
      if (cursor.emitted > 0) return EMITTED;
      return cursor.nullKey ? NULL_KEY : (filtered[cursor.last] as Outcome);
    },
  };
}

const newCursor = (): Cursor => ({
  record: null as never,
  stage: null as never,
  step: 0,
  emitted: 0,
  last: 0,
  nullKey: false,
});

function reset(cursor: Cursor, record: DecodedRecord, stage: Stage): void {
  cursor.record = record;
  cursor.stage = stage;
  cursor.step = 0;
  cursor.emitted = 0;
  cursor.last = 0;
  cursor.nullKey = false;
}

type Wiring = { cursor: Cursor; counts: OperatorCounts[]; options: CompileOptions };

/** One entry a source topic; built from the last node to the first, so every closure finds its followers. */
function entriesOf(part: Part, wiring: Wiring): Map<string, Next> {
  const followers = new Map<number, Next[]>();
  const entries = new Map<string, Next[]>();
  for (let at = part.nodes.length - 1; at >= 0; at--) {
    const node = part.nodes[at] as PlanNode;
    const next = closureOf(node, at, {
      ...wiring,
      count: wiring.counts[at] as OperatorCounts,
      next: all(followers.get(node.id) ?? []),
      arms: followers.get(node.id) ?? [],
    });
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

/** The user's own error: only its name is told, since its text may quote the value. */
function thrown(error: unknown, node: PlanNode, onError: PlanOptions["onError"]): TransformError {
  const name = error instanceof Error ? error.name : typeof error;
  const code = onError === "halt" ? "MILL_TRANSFORM_HALT" : "MILL_TRANSFORM_THREW";
  return new TransformError(code, `${name} in ${node.operation.kind} "${node.name}"`, {
    cause: error,
  });
}

const stages: Partial<Record<string, Pick<Failure, "class" | "stage">>> = {
  MILL_ENCODE_VALUE: { class: "schema", stage: "encode" },
  MILL_RECORD_TOO_LARGE: { class: "size", stage: "encode" },
  MILL_RULE_BROKEN: { class: "rule", stage: "transform" },
};

const failureOf = (error: MillraceError, node: PlanNode): Failure => ({
  ...(stages[error.code] ?? { class: "transform", stage: "transform" }),
  step: node.name,
  rule: error.code === "MILL_RULE_BROKEN" ? node.name : null,
  code: error.code,
  message: error.message,
});
