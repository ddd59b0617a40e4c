// Each operator as a closure: value in, followers called. `undefined` is a tombstone: it passes operators that keep the
// key, reaches no callback, and is dropped where a key would change.
import { assert, MillraceError } from "../core/errors.ts";
import type { DecodedRecord, Stage } from "../core/outcome.ts";
import { Mistake, settled } from "../core/mistake.ts";
import type { Operation, PlanNode } from "../core/plan.ts";
import type { RecordContext } from "../core/record.ts";
import type { StateKey, TaskStores } from "../core/state.ts";
import type { CompileOptions, OperatorCounts } from "./program.ts";
import { recordKey, stateKeyOf, type Stateful } from "./keyed/state-key.ts";

/** What became of one record so far. */
export interface Trail {
  /** Its place in the batch. */
  readonly index: number;
  /** Outputs, rows and changes of state. */
  emitted: number;
  /** The node that dropped it last. */
  last: number;
  nullKey: boolean;
  isRepeat: boolean;
  /** It waits in state for a call. */
  isQueued: boolean;
  /** It has changed state in an earlier step: what fails now must be run again without it. */
  hasChanged: boolean;
}

export const newTrail = (index: number): Trail => ({
  index,
  emitted: 0,
  last: 0,
  nullKey: false,
  isRepeat: false,
  isQueued: false,
  hasChanged: false,
});

/** The one record that is on its way through a program. */
export interface Cursor {
  record: DecodedRecord;
  stage: Stage;
  /** The node at work: names the step when a callback throws. */
  step: number;
  trail: Trail;
  /** What the steps with state will work on; null in a part without any. */
  pass: StatefulPass | null;
}

/** A record that waits for its key's state. */
export interface Waiting {
  readonly record: DecodedRecord;
  readonly trail: Trail;
  readonly value: unknown;
  /** Null passes through: a tombstone, in its place among the others. */
  readonly key: StateKey | null;
  /** At a step that calls, a parked record that has its answer. */
  readonly released?: { readonly answer: unknown };
}

/** A change that is told at the checkpoint. */
export interface Held {
  readonly at: number;
  readonly key: string;
  readonly trail: Trail;
  readonly record: DecodedRecord;
  readonly value: unknown;
}

/** One batch on its way through the steps with state. */
export interface StatefulPass {
  readonly stores: TaskStores;
  /** By node. */
  readonly waiting: Map<number, Waiting[]>;
  readonly held: Held[];
  streamTimeMs(record: Trail): number;
}

export type Next = (value: unknown) => void;

export interface Wiring {
  readonly cursor: Cursor;
  readonly count: OperatorCounts;
  readonly next: Next;
  /** Followers one by one: the arms of a branch. */
  readonly arms: readonly Next[];
  readonly options: CompileOptions;
}

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

export function closureOf(node: PlanNode, at: number, wiring: Wiring): Next {
  const { operation } = node;
  switch (operation.kind) {
    case "source":
    case "merge":
    case "arm":
      return passing(wiring);
    case "map":
      return mapping(operation, at, wiring);
    case "flat-map":
      return flatMapping(operation, at, wiring);
    case "filter":
      return filtering(operation, at, wiring);
    case "table-filter":
      return tableFiltering(operation, at, wiring);
    case "peek":
      return peeking(operation, at, wiring);
    case "expect":
      return expecting(node, at, wiring);
    case "branch":
      return branching(operation, at, wiring);
    case "repartition":
    case "forward":
    case "to":
    case "upsert":
      return writing(node, at, wiring);
    case "distinct":
    case "aggregate":
    case "map-with-state":
      return queueing(operation, at, wiring);
    case "map-async":
      return queueingCalls(at, wiring);
  }
}

export const contextOf = (cursor: Cursor): RecordContext => cursor.record.context;

const passing =
  ({ count, next }: Wiring): Next =>
  (value) => {
    count.passed++;
    next(value);
  };

function mapping({ fn }: Of<"map">, at: number, { cursor, count, next }: Wiring): Next {
  return function map(value) {
    cursor.step = at;
    const result = value === undefined ? undefined : present(fn(value, contextOf(cursor)));
    count.passed++;
    next(result);
  };
}

/** Absent is null, never undefined: an undefined result is a mistake in the callback, and so is a promise. */
export function present(result: unknown): unknown {
  if (result === undefined) throw new Mistake("it returned undefined; absent is null");
  return settled(result);
}

function flatMapping({ fn }: Of<"flat-map">, at: number, { cursor, count, next }: Wiring): Next {
  return function flatMap(value) {
    cursor.step = at;
    if (value === undefined) {
      count.passed++;
      next(value);
      return;
    }
    let made = 0;
    for (const result of settled(fn(value, contextOf(cursor)))) {
      made++;
      next(present(result));
      cursor.step = at;
    }
    if (made > 0) count.passed++;
    else drop(cursor, count, at);
  };
}

export function drop(cursor: Cursor, count: OperatorCounts, at: number): void {
  count.dropped++;
  cursor.trail.last = at;
}

function filtering({ test }: Of<"filter">, at: number, { cursor, count, next }: Wiring): Next {
  return function filter(value) {
    cursor.step = at;
    if (value !== undefined && !settled(test(value, contextOf(cursor)))) {
      drop(cursor, count, at);
      return;
    }
    count.passed++;
    next(value);
  };
}

function tableFiltering(
  { test }: Of<"table-filter">,
  at: number,
  { cursor, count, next }: Wiring,
): Next {
  return function tableFilter(value) {
    cursor.step = at;
    const passes = value !== undefined && settled(test(value, contextOf(cursor)));
    count.passed++;
    next(passes ? value : undefined);
  };
}

function peeking({ fn }: Of<"peek">, at: number, { cursor, count, next }: Wiring): Next {
  return function peek(value) {
    cursor.step = at;
    if (value !== undefined) settled(fn(value, contextOf(cursor)));
    count.passed++;
    next(value);
  };
}

function expecting(node: PlanNode, at: number, { cursor, count, next, options }: Wiring): Next {
  const { test, otherwise } = node.operation as Of<"expect">;
  return function expect(value) {
    cursor.step = at;
    const holds = value === undefined || settled(test(value, contextOf(cursor)));
    if (!holds && otherwise !== "log") {
      if (otherwise === "drop") {
        drop(cursor, count, at);
        return;
      }
      const code = otherwise === "halt" ? "MILL_RULE_HALT" : "MILL_RULE_BROKEN";
      throw new MillraceError(code, `expect "${node.name}"`);
    }
    if (!holds) options.onBroken(node.name);
    count.passed++;
    next(value);
  };
}

function branching({ tests }: Of<"branch">, at: number, wiring: Wiring): Next {
  const { cursor, count, next, arms } = wiring;
  return function branch(value) {
    cursor.step = at;
    if (value === undefined) {
      count.passed++;
      next(value);
      return;
    }
    const first = tests.findIndex((test) => settled(test(value, contextOf(cursor))));
    const arm = arms[first < 0 ? tests.length : first];
    const { trail } = cursor;
    const before = trail.emitted;
    // An arm that nothing follows drops the record here; a step behind it that drops says so itself.
    trail.last = at;
    arm?.(value);
    if (trail.emitted === before && trail.last === at) count.dropped++;
    else count.passed++;
  };
}

function writing(node: PlanNode, at: number, { cursor, count, options }: Wiring): Next {
  const emit = options.emitterOf(node);
  return function write(value) {
    cursor.step = at;
    if (emit(value, cursor)) {
      cursor.trail.emitted++;
      count.passed++;
    } else drop(cursor, count, at);
  };
}

/** In front of a step with state: the record waits until the keys of the whole batch are in memory. */
function queueing(operation: Stateful, at: number, { cursor, count }: Wiring): Next {
  const keyOf = stateKeyOf(operation);
  const passes = operation.kind === "distinct";
  const takes = operation.kind === "map-with-state" && operation.onTombstone !== undefined;
  return function queue(value) {
    cursor.step = at;
    const { pass, record, trail } = cursor;
    assert(pass !== null, "a step with state outside a batch");
    const isPassing = value === undefined && passes;
    if (value === undefined && !passes && !takes) return drop(cursor, count, at);
    const key = isPassing ? null : keyOf(value, cursor);
    if (key === null && !isPassing) {
      trail.nullKey = true;
      return drop(cursor, count, at);
    }
    trail.last = at;
    wait(pass, at, { record, trail, value, key });
  };
}

/** In front of a step that calls, tombstones and records without a key too. */
function queueingCalls(at: number, { cursor }: Wiring): Next {
  return function queueCall(value) {
    cursor.step = at;
    const { pass, record, trail } = cursor;
    assert(pass !== null, "a step that calls outside a batch");
    trail.last = at;
    wait(pass, at, { record, trail, value, key: recordKey(value, cursor) });
  };
}

export function wait({ waiting }: StatefulPass, at: number, one: Waiting): void {
  const queue = waiting.get(at);
  if (queue === undefined) waiting.set(at, [one]);
  else queue.push(one);
}
