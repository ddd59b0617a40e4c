// process: handlers of records and timers, with typed stores and timers for each key.
import type { MillraceError } from "../../../core/errors.ts";
import type { OperatorFacts, PlanNode, PlanStore } from "../../../core/plan.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema } from "../../../core/schema.ts";
import type {
  DeclaredState,
  DeclaredTimer,
  KeyState,
  KeyTimer,
} from "../../../transform/process/context.ts";
import { processing, type Process } from "../../../transform/process/process.ts";
import { wrongTimers, type TimerClock } from "../../../transform/process/timers.ts";
import { readingTimers } from "../../../transform/shown/waiting.ts";
import { problem } from "../../nodes/problem.ts";
import type { Method, StreamNode } from "../../nodes/stream-node.ts";
import { inOrder } from "../order/order.ts";
import type { Orderable } from "../../windows.ts";
import { storeOf } from "../../store.ts";

/** The values and timers of the key in hand; valid until the handler returns. */
export interface ProcessContext<K, S, T> {
  readonly key: K;
  /** How far the source partition of the record had come when it was read; of a timer, at least its due. Epoch ms. */
  readonly streamTime: number;
  readonly state: { readonly [Name in keyof S]: KeyState<S[Name]> };
  readonly timers: { readonly [Name in keyof T]: KeyTimer };
}

/** In `onRecord` and `onTombstone`. */
export interface ProcessRecord<K, S, T> extends ProcessContext<K, S, T> {
  readonly record: RecordContext<K>;
}

/** In `onTimer`. */
export interface ProcessTimer<K, S, T> extends ProcessContext<K, S, T> {
  /** The time that the timer was set for, epoch ms. */
  readonly due: number;
}

/** A handler for each timer. */
export type TimerHandlers<K, S, T> = {
  readonly [Name in keyof T]: (context: ProcessTimer<K, S, T>) => Iterable<unknown>;
};
/** The values that timers make; none where there are no timers. */
export type MadeByTimers<H> = string extends keyof H
  ? never
  : { readonly [Name in keyof H]: MadeBy<H[Name]> }[keyof H];
type MadeBy<Handler> = Handler extends (...context: never[]) => infer Result
  ? OneOf<Result>
  : never;
type OneOf<Result> = Result extends Iterable<infer One> ? One : never;

/** Handlers make R of values V; those of timers and of tombstones make H and D. */
export interface ProcessHandlers<K, V, S, T, R, H, D> extends Orderable {
  /** A value for each key, by name. */
  readonly state?: { readonly [Name in keyof S]: Schema<S[Name]> };
  /** Timers of each key, by name: by event time, or by the clock of the worker. */
  readonly timers?: T;
  readonly onRecord: (value: V, context: ProcessRecord<K, S, T>) => Iterable<R>;
  /** A handler for each timer. */
  readonly onTimer?: H;
  /** The handler of a deleted key. Default: none, and the tombstone goes no further. */
  readonly onTombstone?: (context: ProcessRecord<K, S, T>) => Iterable<D>;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /**
     * Handles records and timers with values and timers that belong to each key. A timer has its name: set again it moves, and it
     * can be cancelled. Results of a record have its time, those of a timer its due.
     * @example
     * stream.process("unpaid", {
     *   state: { open: json<Order>() },
     *   timers: { due: "event-time" },
     *   onRecord(order, { record, state, timers }) {
     *     if (order.paid) timers.due.cancel();
     *     else timers.due.at(record.timestamp + hours(1).ms);
     *     state.open.set(order);
     *     return [];
     *   },
     *   onTimer: { due: ({ state }) => [{ unpaid: state.open.get() }] },
     * });
     */
    process<
      R,
      S extends Readonly<Record<string, unknown>> = Readonly<Record<never, never>>,
      const T extends Readonly<Record<string, TimerClock>> = Readonly<Record<never, never>>,
      H extends TimerHandlers<K, S, T> = TimerHandlers<K, S, T>,
      D = never,
    >(
      name: string,
      options: ProcessHandlers<K, V, S, T, R, H, D>,
    ): Stream<K, R | MadeByTimers<H> | D>;
  }
}

type Given = ProcessHandlers<
  unknown,
  unknown,
  Readonly<Record<string, unknown>>,
  Readonly<Record<string, TimerClock>>,
  unknown,
  unknown,
  unknown
>;

const CLOCKS: readonly unknown[] = ["event-time", "wall-clock"];
const NAME = /^[a-z][a-zA-Z0-9]*$/;

const common: OperatorFacts = {
  work: processing,
  changes: true,
  multiplies: true,
  folds: true,
  comesOut: "in-order",
  problems: (node, nodes) => [...unusable(node.operation as Process, node), ...taken(node, nodes)],
  details: (operation) => shownTimers(operation as Process),
};
/** Event time fires its timers, also behind a source that is quiet. */
const timed: OperatorFacts = { ...common, usesTime: true, closes: true };

const BY_WALL_CLOCK = ["arrival", "it has timers by the wall clock"] as const;

export const process: Method = function process(
  this: StreamNode<unknown, unknown>,
  name: string,
  given: Given,
): StreamNode<unknown, unknown> {
  const { state = {}, timers = {}, onRecord, onTimer = {}, onTombstone, order } = given;
  const states = Object.keys(state).map((own) => ({ name: own, store: `${name}-${kebab(own)}` }));
  const declared = Object.entries(timers).map(([own, clock]) => {
    return { name: own, clock, store: `${name}-${clock === "wall-clock" ? "wall-" : ""}timers` };
  });
  const operation: Process = {
    kind: "process",
    stores: [
      ...[...new Set(declared.map(({ store }) => store))].map((store) =>
        timerStore(store, declared),
      ),
      ...states.map((own) => stateStore(own, state[own.name] as Schema<unknown>)),
    ],
    states,
    timers: declared,
    onRecord: onRecord as Process["onRecord"],
    onTimer: onTimer as Process["onTimer"],
    ...(onTombstone === undefined ? {} : { onTombstone: onTombstone as () => Iterable<unknown> }),
  };
  const isTimed = declared.some(({ clock }) => clock === "event-time");
  const byWall = declared.some(({ clock }) => clock === "wall-clock");
  const facts = isTimed ? timed : common;
  const own = byWall ? { ...facts, comesOut: BY_WALL_CLOCK } : facts;
  const ordered = inOrder(name, operation, own, order);
  return this.next(name, ordered.operation, ordered.facts);
};

/** As names of stores are written. */
const kebab = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const stateStore = ({ store }: DeclaredState, { format }: Schema<unknown>): PlanStore =>
  storeOf(store, format);

const timerStore = (name: string, timers: readonly DeclaredTimer[]): PlanStore =>
  storeOf(
    name,
    { kind: "tagged-json" },
    {
      dueOfUndated: () => null,
      wrongValue: (_key, value) => wrongTimers(value),
      reader: readingTimers(timers),
    },
  );

/** Types are stripped at run time: what is missing must still be a clear problem. */
function unusable(operation: Process, node: PlanNode): MillraceError[] {
  const { states, timers, stores, onTimer, onRecord } = operation;
  const names = [...states, ...timers].map(({ name }) => name);
  const details = [
    ...(stores.length === 0 ? ["it has neither state nor timers; flatMap does the same"] : []),
    ...names.filter((name) => !NAME.test(name)).map((name) => `"${name}": expected camelCase`),
    ...timers
      .filter(({ clock }) => !CLOCKS.includes(clock))
      .map(({ name }) => `timer "${name}": expected "event-time" or "wall-clock"`),
    ...timers
      .filter(({ name }) => typeof onTimer[name] !== "function")
      .map(({ name }) => `timer "${name}" has no handler in onTimer`),
    ...(typeof onRecord === "function" ? [] : ["it needs onRecord"]),
  ];
  return details.map((detail) => problem("MILL_BUILD_OPTION", node, detail));
}

/** Its stores are called by it and their own names: no other operator or store may be called so. */
function taken(node: PlanNode, nodes: readonly PlanNode[]): MillraceError[] {
  const own = (node.operation as Process).stores.map(({ name }) => name);
  const others = new Set(nodes.map(({ name }) => name));
  const clashes = own.filter((name, at) => others.has(name) || own.indexOf(name) !== at);
  return clashes.map((name) =>
    problem("MILL_BUILD_NAME_TAKEN", node, `its store would be called "${name}", which is taken`),
  );
}

function shownTimers({ timers }: Process): Readonly<Record<string, string>> {
  if (timers.length === 0) return {};
  return { timers: timers.map(({ name, clock }) => `${name} (${clock})`).join(", ") };
}
