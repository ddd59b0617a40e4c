// Each step with state as a function over one waiting record: reads its key's entry, changes it, calls its followers.
import { MillraceError } from "../../core/errors.ts";
import { settled } from "../../core/mistake.ts";
import type { Operation, PlanNode, Repeats, Stepped } from "../../core/plan.ts";
import type { RecordContext } from "../../core/record.ts";
import { DELETED_KEPT_MS, type StateEntry, type StoreView } from "../../core/state.ts";
import { contentOf } from "./content.ts";
import { contextOf, drop, present, type Cursor, type Waiting, type Wiring } from "../operator.ts";
import type { Stateful } from "./state-key.ts";

/** A step with state: queued records are worked on when the keys of the batch are in memory. */
export interface StatefulStep {
  /** The node. */
  readonly at: number;
  /** The store, by its name in the plan. */
  readonly store: string;
  work(waiting: Waiting, view: StoreView): void;
  /** Tells followers of a change that was held until the checkpoint. */
  tell(value: unknown): void;
}

export function stepOf(node: PlanNode, at: number, wiring: Wiring): StatefulStep | null {
  const { operation } = node;
  const work = workOf(node, at, wiring);
  if (work === null) return null;
  const { store } = operation as Stateful;
  return { at, store: store.name, work, tell: wiring.next };
}

type Work = StatefulStep["work"];
type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

function workOf(node: PlanNode, at: number, wiring: Wiring): Work | null {
  const { operation } = node;
  if (operation.kind === "distinct") return distinct(node, at, wiring);
  if (operation.kind === "aggregate") return aggregate(operation, at, wiring);
  return operation.kind === "map-with-state" ? mapWithState(operation, at, wiring) : null;
}

/**
 * The first of its kind passes. It is remembered for the span in stream time, counted from the moment it passed, so the
 * answer is the same however often the input is read, and state is bounded.
 */
function distinct(node: PlanNode, at: number, { cursor, count, next, options }: Wiring): Work {
  const { store, onRepeat } = node.operation as Of<"distinct">;
  const span = store.retentionMs ?? Infinity;
  return function distinctWork({ key, trail, value }, view) {
    if (key !== null) {
      const now = cursor.pass?.streamTimeMs(trail) ?? 0;
      const seen = view.get(key);
      const content = onRepeat === undefined ? true : contentBy(onRepeat, value);
      if (seen !== null && now - seen.timestamp <= span) {
        if (onRepeat !== undefined && differs(seen, content)) {
          // mistake: conflict is a repeat
          if (onRepeat.conflict === "dead-letter") throw conflictAt(node, seen);
          options.onBroken(node.name);
        }
        trail.isRepeat = true;
        return drop(cursor, count, at);
      }
      view.set(key, { value: content, timestamp: now });
    }
    count.passed++;
    next(value);
  };
}

const contentBy = ({ content }: Repeats, value: unknown): string =>
  contentOf(content === null ? value : settled(content(value)));

/** An entry that was stored without a content, `true`, is not known to differ. */
const differs = ({ value }: StateEntry, content: string | true): boolean =>
  typeof value === "string" && value !== content;

const conflictAt = ({ name }: PlanNode, { timestamp }: StateEntry): MillraceError => {
  const since = new Date(timestamp).toISOString();
  return new MillraceError(
    "MILL_DISTINCT_CONFLICT",
    `distinct "${name}", remembered from ${since}`,
  );
};

function aggregate(operation: Of<"aggregate">, at: number, wiring: Wiring): Work {
  const { init, add, emission } = operation;
  const { cursor, count, next } = wiring;
  return function aggregateWork({ key, trail, value }, view) {
    if (key === null) return;
    const context = contextOf(cursor);
    const old = storedOf(view.get(key), cursor);
    const before = old.value === null ? settled(init(context.key)) : old.value;
    const after = present(add(before, value, context));
    if (after === null && old.value === null) return drop(cursor, count, at);
    const timestamp = Math.max(context.timestamp, old.timestamp);
    view.set(key, { value: after, timestamp });
    trail.emitted++;
    count.passed++;
    cursor.record = timed(cursor, timestamp);
    const told = after === null ? undefined : after;
    if (emission === "update") next(told);
    else cursor.pass?.held.push({ at, key: key.id, trail, record: cursor.record, value: told });
  };
}

const NEVER: StateEntry = { value: null, timestamp: -Infinity };

/**
 * A key's value, null for none, and the highest time it has had. That of a deleted key is forgotten after a while, by
 * stream time, so that whether the store has forgotten it already makes no difference.
 */
function storedOf(entry: StateEntry | null, { pass, trail }: Cursor): StateEntry {
  if (entry === null) return NEVER;
  const now = pass?.streamTimeMs(trail) ?? 0;
  // mistake: deleted time forgotten
  const isOver = entry.value === null && entry.timestamp < now - DELETED_KEPT_MS;
  return isOver ? NEVER : entry;
}

/**
 * The record with another time: what a step tells of a key is as new as the newest that it has seen of it, or a late
 * record would lose its effect to the older result that stands in a table.
 */
function timed({ record }: Cursor, timestamp: number): Cursor["record"] {
  if (timestamp === record.context.timestamp) return record;
  return { ...record, context: { ...record.context, timestamp } };
}

function mapWithState(operation: Of<"map-with-state">, at: number, wiring: Wiring): Work {
  const { cursor, count } = wiring;
  return function mapWithStateWork({ key, trail, value }, view) {
    if (key === null) return;
    const old = storedOf(view.get(key), cursor);
    const { state, emit } = stepped(operation, { state: old.value, value }, contextOf(cursor));
    const hasChanged = present(state) !== old.value;
    const entry = { value: state, timestamp: newestOf(value, old, cursor) };
    // Also when it is the same object: a callback may have changed it in place.
    if (hasChanged || state !== null) view.set(key, entry);
    if (hasChanged) trail.emitted++;
    // mistake: own time
    cursor.record = timed(cursor, entry.timestamp);
    const told = tellAll(emit, at, wiring);
    // The news told of a key without state must not be followed by something older either.
    if (told > 0 && entry.value === null && entry.timestamp > old.timestamp) view.set(key, entry);
    if (hasChanged || told > 0) count.passed++;
    else drop(cursor, count, at);
  };
}

/** Only a step with `onTombstone` is given one. */
function stepped(
  { map, onTombstone }: Of<"map-with-state">,
  { state, value }: { readonly state: unknown; readonly value: unknown },
  record: RecordContext,
): Stepped {
  const isTaken = value === undefined && onTombstone !== undefined;
  // mistake: tombstone keeps state
  return settled(isTaken ? onTombstone(state, record) : map(state, value, record));
}

/** A tombstone has no event time where that is told by the value: then its key keeps the time that it has. */
function newestOf(value: unknown, old: StateEntry, { record, pass, trail }: Cursor): number {
  const { timestamp } = record.context;
  if (value !== undefined || record.isUntimed !== true) return Math.max(timestamp, old.timestamp);
  if (old.timestamp !== NEVER.timestamp) return old.timestamp;
  const now = pass?.streamTimeMs(trail) ?? -1;
  return now < 0 ? timestamp : now;
}

/** Returns how many there were. */
function tellAll(results: Iterable<unknown>, at: number, { cursor, next }: Wiring): number {
  let told = 0;
  for (const result of settled(results)) {
    told++;
    next(present(result));
    cursor.step = at;
  }
  return told;
}
