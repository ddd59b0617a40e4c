// An operator with timers, which no user has: each record sets one, and may put off or cancel the one before it of its key.
// Every timer fires once, when stream time has passed it, and what fires is in the order of due and key. A timer is touched
// only while it cannot have fired yet, so what comes out depends on no batch, crash or takeover.
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import type { RawRecord, TopicName } from "../../../src/engine/core/record.ts";
import { decodeMetadata } from "../../../src/engine/core/task-inputs.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { storeOf } from "../../../src/engine/define/store.ts";
import type { Operation, OperatorFacts, Plan, PlanStore } from "../../../src/engine/core/plan.ts";
import { byId, type StateKey } from "../../../src/engine/core/state.ts";
import {
  dropUnkeyed,
  type Item,
  type MakeOperator,
  ownKeys,
  type Prepared,
  stateKey,
  type Views,
} from "../../../src/engine/transform/operator.ts";
import type { Draw, FlowSpec, Node, Stage } from "./case.ts";
import { plainCodec } from "../stores.ts";
import { mod, type Value } from "./values.ts";

/** The name of the operator, and of its store. */
const TIMERS = "timers";

/** The timer that a key has set last. */
interface Last {
  readonly i: string;
  readonly dueMs: number;
}

export const timerPlace = (key: string, i: string): string => `${key}\0${i}`;
/** All timers of a task go to one partition, so that their order shows. */
export const timerKey = (partition: number): string => `timers-${String(partition)}`;
/** Many of them at the same time. */
export const dueOf = (nowMs: number, { n }: Value, by: number): number =>
  Math.ceil((nowMs + mod(n * 131, 2_000 + by)) / 250) * 250;
export const putOffTo = (nowMs: number, { n }: Value): number => nowMs + 500 * mod(n, 9);
export const turnOf = ({ v }: Value): "stays" | "cancelled" | "put off" =>
  (["stays", "put off", "stays", "cancelled"] as const)[mod(v, 4)] ?? "stays";

interface Timers extends Operation {
  readonly kind: "timers";
  readonly store: PlanStore;
  readonly by: number;
}

const timing: MakeOperator<Timers> = ({ operation }, wiring) => {
  const { store, by } = operation;
  const { at, cursor, count, next } = wiring;
  const lastOf = (views: Views, key: StateKey): Last | null =>
    (views.view(store.name).get(key)?.value ?? null) as Last | null;
  return {
    at,
    stores: [store.name],
    keys(item, want) {
      ownKeys(store.name, false)(item, want);
      if (item.key !== null) want(store.name, placeOf(item, item.value as Value));
    },
    async prepare(items, { stores }: Prepared) {
      const places: StateKey[] = [];
      for (const item of items) {
        const last = item.key === null ? null : lastOf(stores, item.key);
        if (last !== null) places.push(placeOf(item, last));
      }
      await stores.load(store.name, byId(places));
    },
    work(item, views) {
      const { key, trail, origin } = item;
      if (key === null) return dropUnkeyed(item, false, wiring);
      const [view, value, now] = [views.view(store.name), item.value as Value, origin.time];
      const last = lastOf(views, key);
      const turn = last === null || last.dueMs < now ? "stays" : turnOf(value);
      if (last !== null && turn !== "stays") {
        const place = placeOf(item, last);
        const entry = view.get(place);
        if (entry === null) throw new Error("a timer fired before it was due");
        view.set(place, turn === "cancelled" ? null : { ...entry, dueMs: putOffTo(now, value) });
      }
      const dueMs = dueOf(now, value, by);
      view.set(placeOf(item, value), { value, timestamp: now, dueMs });
      view.set(key, { value: { i: value.i, dueMs }, timestamp: now, dueMs: null });
      trail.emitted++;
      count.passed++;
    },
    due({ key }, views) {
      const view = views.view(store.name);
      const entry = view.get(key as StateKey);
      if (entry === null) throw new Error("a timer fired twice");
      view.set(key as StateKey, null);
      const { record } = cursor;
      const own = Buffer.from(timerKey(record.raw.partition));
      cursor.record = { ...record, raw: { ...record.raw, key: own } };
      next(entry.value);
    },
  };
};

const placeOf = ({ record }: Item, { i }: { readonly i: string }): StateKey =>
  stateKey(Buffer.from(timerPlace(String(record.raw.key), i)));

export const timersFacts: OperatorFacts = { work: timing, ownKeys: true, changes: true };

export const timersOf = (name: string, by: number): Timers => ({
  kind: "timers",
  store: storeOf(name, { kind: "tagged-json" }),
  by,
});

const SHARE = 0.3;

/** The case again, some of them with timers on the source: where stream time depends on no neighbour. */
export function withTimers(
  draw: Draw,
  drawn: { readonly flow: FlowSpec; readonly stages: readonly Stage[] },
): { flow: FlowSpec; stages: readonly Stage[] } {
  const { flow, stages } = drawn;
  if (flow.sources > 1 || flow.salt !== undefined || !draw.chance(SHARE)) return drawn;
  const end: Node = { id: "timers-end", op: "to", by: 0, then: [] };
  const timers: Node = { id: TIMERS, op: "timers", by: draw.below(5), then: [end] };
  return { flow: { ...flow, roots: [...flow.roots, timers] }, stages };
}

export const hasTimers = ({ parts }: Plan): boolean =>
  parts.some(({ stores }) => stores.some(({ name }) => name === TIMERS));

/** Timers that lie before the stream time of their task, which fire without any progress of its inputs. */
export async function areTimersOwed(
  plan: Plan,
  admin: AdminPort,
  entriesOf: (topic: TopicName) => readonly RawRecord[],
): Promise<boolean> {
  const part = plan.parts.find(({ stores }) => stores.some(({ name }) => name === TIMERS));
  const dues = entriesDue(plan, TIMERS, entriesOf);
  if (part === undefined || dues.length === 0) return false;
  const places = part.sources.flatMap(({ name: topic }) =>
    [...new Set(dues.map(({ partition }) => partition))].map((partition) => ({ topic, partition })),
  );
  const progress = await admin.committed(part.group, places, { stable: false });
  const timeOf = (partition: number): number =>
    Math.max(
      ...progress
        .filter((at) => at.partition === partition)
        .map(({ metadata }) => decodeMetadata(metadata)?.time?.time ?? -Infinity),
    );
  return dues.some(({ partition, dueMs }) => dueMs < timeOf(partition));
}

/** The entries of a store that are due at some time, by its changelog. */
export function entriesDue(
  { parts }: Plan,
  name: string,
  entriesOf: (topic: TopicName) => readonly RawRecord[],
): readonly { readonly partition: number; readonly dueMs: number }[] {
  const store = parts.flatMap(({ stores }) => stores).find((one) => one.name === name);
  if (store === undefined) return [];
  const { dueOf } = entryCodec(plainCodec, name);
  const newest = new Map<string, RawRecord>();
  for (const record of entriesOf(store.changelog.name))
    newest.set(`${String(record.partition)} ${record.key?.toString("latin1") ?? ""}`, record);
  return [...newest.values()].flatMap(({ partition, key, value }) => {
    const dueMs = key === null || value === null ? null : dueOf(key, value);
    return dueMs === null ? [] : [{ partition, dueMs }];
  });
}
