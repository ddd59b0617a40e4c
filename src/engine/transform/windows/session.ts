// Aggregates by sessions: one entry for each key, with its open sessions in the order of time. It is due with the first of them.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { SessionWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type Item,
  type MakeOperator,
  type Operator,
  ownKeys,
  present,
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
} from "./result.ts";

export interface SessionAggregate extends WindowOperation {
  readonly kind: "session-window";
  readonly window: SessionWindow;
  readonly merge: (a: unknown, b: unknown) => unknown;
}

export const aggregatingSessions: MakeOperator<SessionAggregate> = (node, wiring) =>
  new SessionWork(node, wiring);

class SessionWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly usesTime = true;
  readonly dueAgainMs: number;
  readonly #operation: SessionAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: SessionAggregate }, wiring: Wiring) {
    const { store, window } = node.operation;
    this.at = wiring.at;
    this.stores = [store.name];
    this.dueAgainMs = window.gapMs;
    this.#closed = new ClosedEnds(store.name);
    this.#operation = node.operation;
    this.#wiring = wiring;
    this.#work = new WindowWork(node, wiring);
  }

  keys(item: Item, want: Want): void {
    ownKeys(this.#operation.store.name, false)(item, want);
    if (item.key !== null) this.#closed.want(want);
  }

  dueKeys(_key: StateKey, want: Want): void {
    this.#closed.want(want);
  }

  work(item: Item, views: Views): void {
    const { key, record, trail } = item;
    if (key === null) return dropUnkeyed(item, false, this.#wiring);
    const { store, window } = this.#operation;
    const { timestamp } = record.context;
    const isClosed = timestamp - window.gapMs <= this.#closed.endMs(views);
    // mistake: late by the session that it would join
    const lateness = latenessOf(item, lastOnTimeMs(window, timestamp), isClosed);
    if (lateness === null) {
      const view = views.view(store.name);
      const add = (values: readonly unknown[]): unknown => this.#added(values, item);
      view.set(key, this.#entryOf(withRecord(window, sessionsOf(view.get(key)), timestamp, add)));
      trail.emitted++;
    }
    this.#work.end(item, lateness);
  }

  #added(values: readonly unknown[], item: Item): unknown {
    const { merge } = this.#operation;
    const [first = null, ...others] = values;
    const joined = others.reduce((a, b) => present(merge(a, b)), first);
    return this.#work.added(joined, item);
  }

  due({ key, watermark }: Item, views: Views): void {
    const { store, window } = this.#operation;
    const { bytes } = key as StateKey;
    const view = views.view(store.name);
    const [first, ...others] = sessionsOf(view.get(key as StateKey));
    if (first === undefined) return;
    // A longer gap or grace has been deployed since.
    if (lastOpenMs(window, first) >= watermark)
      return view.set(key as StateKey, this.#entryOf([first, ...others]));
    view.set(key as StateKey, others.length === 0 ? null : this.#entryOf(others));
    const { startMs, endMs, value: aggregate } = first;
    this.#closed.close(views, endMs);
    this.#work.closed(bytes, { aggregate, startMs, endMs }, endMs);
  }

  #entryOf(sessions: readonly Session[]): StateEntry {
    const [first, last] = [sessions[0] as Session, sessions.at(-1) as Session];
    const dueMs = lastOpenMs(this.#operation.window, first);
    return { value: sessions.map(storedOf), timestamp: last.endMs, dueMs };
  }
}

const storedOf = ({ startMs, endMs, value }: Session): TimedAggregate => [startMs, endMs, value];

const sessionsOf = (entry: StateEntry | null): Session[] =>
  ((entry?.value ?? []) as readonly TimedAggregate[]).map(([startMs, endMs, value]) => ({
    ...{ startMs, endMs, value },
  }));
