// Aggregates by sessions: one entry for each key, with its open sessions in the order of time. It is due with the first of them.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { SessionWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type DueLook,
  type Item,
  type KeptResult,
  type MakeOperator,
  type Operator,
  ownKeys,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { lastOnTimeMs, lastOpenMs, type Session, withRecord } from "./gaps.ts";
import {
  ClosedEnds,
  latenessOf,
  type TimedAggregate,
  type WindowOperation,
  WindowWork,
  wrongTimed,
} from "./result.ts";

export interface SessionAggregate extends WindowOperation {
  readonly kind: "session-window";
  readonly window: SessionWindow;
}

export const aggregatingSessions: MakeOperator<SessionAggregate> = (node, wiring) =>
  new SessionWork(node, wiring);

class SessionWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly usesTime = true;
  readonly dueAgainMs: number;
  readonly meets?: NonNullable<Operator["meets"]>;
  readonly moreKeys?: NonNullable<Operator["moreKeys"]>;
  readonly #operation: SessionAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: SessionAggregate }, wiring: Wiring) {
    const { store, window } = node.operation;
    this.at = wiring.at;
    this.#work = new WindowWork(node, wiring);
    this.stores = this.#work.storesWith();
    this.dueStores = [store.name];
    this.dueAgainMs = window.gapMs;
    this.#closed = new ClosedEnds(store.name);
    this.#operation = node.operation;
    this.#wiring = wiring;
    if (this.#work.fold.store === null) return;
    this.meets = (item) => this.#work.fold.meets(item);
    this.moreKeys = (item, views, want) => this.#lastRecords(item, views, want);
  }

  keys(item: Item, want: Want): void {
    ownKeys(this.#operation.store.name, false)(item, want);
    if (item.key !== null) this.#closed.want(want);
  }

  dueKeys(key: StateKey, want: Want, { views, watermark }: DueLook): void {
    this.#closed.want(want);
    if (this.#work.fold.store === null) return;
    const { store, window } = this.#operation;
    for (const session of sessionsOf(views.view(store.name).get(key)).sessions)
      if (lastOpenMs(window, session) < watermark)
        this.#work.fold.wantAll(session.value, key.bytes, want);
  }

  /** Any of them may be the last of those that a record joins. */
  #lastRecords({ key }: Item, views: Views, want: Want): void {
    if (key === null) return;
    for (const { value } of sessionsOf(views.view(this.#operation.store.name).get(key)).sessions)
      this.#work.fold.wantLast(value, key.bytes, want);
  }

  work(item: Item, views: Views): void {
    const { key, record, trail } = item;
    if (key === null) return dropUnkeyed(item, false, this.#wiring);
    const { store, window } = this.#operation;
    const { timestamp } = record.context;
    const isClosed = timestamp - window.gapMs <= this.#closed.endMs(views);
    // mistake: late by the session that it would join
    const late = latenessOf(item, lastOnTimeMs(window, timestamp), isClosed);
    if (late !== null) return this.#work.end(item, late);
    const view = views.view(store.name);
    const before = this.#withRoom(item, sessionsOf(view.get(key)), views);
    if (before === null) return this.#work.end(item, "evicted");
    const add = (values: readonly unknown[]): unknown => this.#added(values, item, views);
    const sessions = withRecord(window, before.sessions, timestamp, add);
    view.set(key, this.#entryOf({ ...before, sessions }));
    trail.emitted++;
    if (this.#work.emitsChanges) this.#emitChanges(item, before.sessions, sessions);
    this.#work.end(item, null);
  }

  /** Those that are no windows any more are withdrawn, before the one that the record belongs to. */
  #emitChanges(item: Item, before: readonly Session[], after: readonly Session[]): void {
    const session = after.find((one) => !before.includes(one)) as Session;
    const { startMs, endMs, value } = session;
    const timestamp = endMs;
    for (const old of before) {
      if (after.includes(old) || (old.startMs === startMs && old.endMs === endMs)) continue;
      // mistake: merged session not withdrawn
      this.#work.changed(item, { ...old, aggregate: null }, { id: idOf(item, old), timestamp });
    }
    const content = { aggregate: value, startMs, endMs };
    this.#work.changed(item, content, { id: idOf(item, session), timestamp });
  }

  /** The sessions when the oldest have made room for that of the record; null: it belongs to one that made room. */
  #withRoom(item: Item, before: OpenSessions, views: Views): OpenSessions | null {
    const { bound, window } = this.#operation;
    const { timestamp: timeMs } = item.record.context;
    // mistake: evicted session begins anew
    if (timeMs - window.gapMs <= before.evictedMs) return null;
    if (bound === undefined || !this.#work.isOver(before.sessions.length + 1)) return before;
    const after = withRecord(window, before.sessions, timeMs, () => null);
    if (after.length <= before.sessions.length) return before;
    this.#work.checkRoom();
    const over = before.sessions.slice(0, after.length - bound.most);
    const last = over.at(-1) as Session;
    if (timeMs < last.startMs) return null;
    for (const { startMs, endMs, value: aggregate } of over)
      this.#work.evicted(item, { aggregate, startMs, endMs }, endMs, views);
    return { evictedMs: last.endMs, sessions: before.sessions.slice(over.length) };
  }

  #added(values: readonly unknown[], item: Item, views: Views): unknown {
    const { fold } = this.#work;
    const [first = null, ...others] = values;
    const joined = others.reduce((a, b) => fold.merged(a, b), first);
    return fold.added(joined, item, views, item.record.context.timestamp);
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return bytes;
  }

  due({ key, watermark }: Item, views: Views): void {
    const { store, window } = this.#operation;
    const { bytes } = key as StateKey;
    const view = views.view(store.name);
    const open = sessionsOf(view.get(key as StateKey));
    const [first, ...sessions] = open.sessions;
    if (first === undefined) return;
    // A longer gap or grace has been deployed since.
    if (lastOpenMs(window, first) >= watermark)
      return view.set(key as StateKey, this.#entryOf(open));
    const left = sessions.length === 0 ? null : this.#entryOf({ ...open, sessions });
    view.set(key as StateKey, left);
    const { startMs, endMs, value: aggregate } = first;
    this.#closed.close(views, endMs);
    this.#work.closed(bytes, { aggregate, startMs, endMs }, endMs, views);
    this.#work.fold.forget(aggregate, bytes, views);
  }

  /** The user's fold has failed for one of the records: the session closes without it. */
  giveUpDue({ key }: Item, views: Views): readonly KeptResult[] | null {
    const own = key as StateKey;
    const view = views.view(this.#operation.store.name);
    const entry = view.get(own);
    const [first] = sessionsOf(entry).sessions;
    const taken =
      first === undefined ? null : this.#work.fold.takeOut(first.value, own.bytes, views);
    if (taken === null) return null;
    view.set(own, entry);
    return [taken];
  }

  #entryOf({ sessions, evictedMs }: OpenSessions): StateEntry {
    const [first, last] = [sessions[0] as Session, sessions.at(-1) as Session];
    const dueMs = lastOpenMs(this.#operation.window, first);
    const stored = sessions.map(storedOf);
    const value = evictedMs === -Infinity ? stored : { evicted: evictedMs, sessions: stored };
    return { value, timestamp: last.endMs, dueMs };
  }
}

/** Of one window of a key a checkpoint emits the last. */
const idOf = ({ key }: Item, { startMs, endMs }: Session): string =>
  `${String(startMs)} ${String(endMs)} ${(key as StateKey).id}`;

interface OpenSessions {
  readonly sessions: readonly Session[];
  /** The end of the newest session that has made room for others; -Infinity where none has. */
  readonly evictedMs: number;
}

/** The form of an entry once sessions of its key have made room; before it is the list alone. */
interface StoredSessions {
  readonly evicted: number;
  readonly sessions: readonly TimedAggregate[];
}

const storedOf = ({ startMs, endMs, value }: Session): TimedAggregate => [startMs, endMs, value];

export function sessionsOf(entry: Pick<StateEntry, "value"> | null): OpenSessions {
  const stored = (entry?.value ?? []) as readonly TimedAggregate[] | StoredSessions;
  const isList = Array.isArray(stored);
  const list = isList ? (stored as readonly TimedAggregate[]) : (stored as StoredSessions).sessions;
  return {
    sessions: list.map(([startMs, endMs, value]) => ({ startMs, endMs, value })),
    evictedMs: isList ? -Infinity : (stored as StoredSessions).evicted,
  };
}

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongSessions(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  if (Array.isArray(stored)) return wrongTimed(stored, wrongValue);
  const { evicted, sessions } = (stored ?? {}) as Partial<StoredSessions>;
  if (!Number.isFinite(evicted)) return "it lacks the end of the session that made room";
  return wrongTimed(sessions, wrongValue);
}
