// Each operator as a closure: value in, followers called. `undefined` is a tombstone: it passes operators that keep the
// key, reaches no callback, and is dropped where a key would change.
import { MillraceError } from "../core/errors.ts";
import type { DecodedRecord, Stage } from "../core/outcome.ts";
import type { Operation, PlanNode } from "../core/plan.ts";
import type { RecordContext } from "../core/record.ts";
import type { CompileOptions, OperatorCounts } from "./compile.ts";

/** The one record that is on its way through a program. */
export interface Cursor {
  record: DecodedRecord;
  stage: Stage;
  /** The node at work: names the step when a callback throws. */
  step: number;
  /** Outputs and rows made by this record so far. */
  emitted: number;
  /** The node that dropped it last. */
  last: number;
  nullKey: boolean;
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
  }
}

const contextOf = (cursor: Cursor): RecordContext => cursor.record.context;

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

/** Absent is null, never undefined: an undefined result is a mistake in the callback. */
function present(result: unknown): unknown {
  if (result === undefined) throw new TypeError("the callback returned undefined");
  return result;
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
    for (const result of fn(value, contextOf(cursor))) {
      made++;
      next(present(result));
      cursor.step = at;
    }
    if (made > 0) count.passed++;
    else drop(cursor, count, at);
  };
}

function drop(cursor: Cursor, count: OperatorCounts, at: number): void {
  count.dropped++;
  cursor.last = at;
}

function filtering({ test }: Of<"filter">, at: number, { cursor, count, next }: Wiring): Next {
  return function filter(value) {
    cursor.step = at;
    if (value !== undefined && !test(value, contextOf(cursor))) {
      drop(cursor, count, at);
      return;
    }
    count.passed++;
    next(value);
  };
}

function peeking({ fn }: Of<"peek">, at: number, { cursor, count, next }: Wiring): Next {
  return function peek(value) {
    cursor.step = at;
    if (value !== undefined) fn(value, contextOf(cursor));
    count.passed++;
    next(value);
  };
}

function expecting(node: PlanNode, at: number, { cursor, count, next, options }: Wiring): Next {
  const { test, otherwise } = node.operation as Of<"expect">;
  return function expect(value) {
    cursor.step = at;
    const holds = value === undefined || test(value, contextOf(cursor));
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
    const first = tests.findIndex((test) => test(value, contextOf(cursor)));
    const arm = arms[first < 0 ? tests.length : first];
    const before = cursor.emitted;
    // An arm that nothing follows drops the record here; a step behind it that drops says so itself.
    cursor.last = at;
    arm?.(value);
    if (cursor.emitted === before && cursor.last === at) count.dropped++;
    else count.passed++;
  };
}

function writing(node: PlanNode, at: number, { cursor, count, options }: Wiring): Next {
  const emit = options.emitterOf(node);
  return function write(value) {
    cursor.step = at;
    if (emit(value, cursor)) {
      cursor.emitted++;
      count.passed++;
    } else drop(cursor, count, at);
  };
}
