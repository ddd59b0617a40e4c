// Aggregates by tumbling, hopping and calendar windows: one entry for each key and window, which is due with its close. A window takes
// records until its end is passed by the grace, by their origin times and by the watermark: time.md's rules W1 to W4.
import { Mistake, settled } from "../../core/errors.ts";
import type { Operation, PlanStore } from "../../core/plan.ts";
import type { RecordContext } from "../../core/record.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import { endOf, startsOf, type FixedWindow } from "../../core/window-span.ts";
import {
  drop,
  dropUnkeyed,
  present,
  stateKey,
  timed,
  type Item,
  type Lateness,
  type MakeOperator,
} from "../operator.ts";
import { closedRecord, LATE, latenessOf, RESULTS, type WindowResult } from "./result.ts";

export interface WindowAggregate extends Operation {
  readonly kind: "window";
  readonly store: PlanStore;
  readonly window: FixedWindow;
  readonly init: (key: unknown) => unknown;
  readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
  readonly finish: (aggregate: unknown) => unknown;
  /** The changes that are emitted: each, the last of a checkpoint, or the last of all. */
  readonly emission: "update" | "checkpoint" | "close";
}

const START_BYTES = 8;

/** The start, so that keys sort by it, and the key of the records. */
function keyOf(startMs: number, key: Buffer): StateKey {
  const bytes = Buffer.allocUnsafeSlow(START_BYTES + key.length);
  bytes.writeBigUInt64BE(BigInt(startMs));
  key.copy(bytes, START_BYTES);
  return stateKey(bytes);
}
/** Whether these bytes are such a key. */
export const isWindowKey = (bytes: Buffer): boolean =>
  bytes.length >= START_BYTES && bytes.readBigUInt64BE() <= BigInt(Number.MAX_SAFE_INTEGER);
const startOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE());
const recordKeyOf = (bytes: Buffer): Buffer => bytes.subarray(START_BYTES);

/** The last ms at which a window that begins then is open. */
const lastOpenMs = (window: FixedWindow, startMs: number): number =>
  endOf(window, startMs) + window.graceMs - 1;

export const aggregatingWindows: MakeOperator<WindowAggregate> = (node, wiring) => {
  const { store, window, init, add, finish, emission } = node.operation;
  const { at, cursor, count, options } = wiring;
  const results = wiring.arms[RESULTS] ?? (() => undefined);
  const late = wiring.arms[LATE] ?? (() => undefined);

  function result(startMs: number, aggregate: unknown): WindowResult<unknown, unknown> {
    const endMs = endOf(window, startMs);
    const { key } = cursor.record.context;
    return { aggregate: finish(aggregate), key, startMs, endMs };
  }

  /** Adds the record to one of its windows. */
  function fold(item: Item, view: StoreView, startMs: number): void {
    const { record, trail, value } = item;
    const key = keyOf(startMs, record.raw.key as Buffer);
    const old = view.get(key);
    const context = record.context;
    const before = old === null ? settled(init(context.key)) : old.value;
    const after = present(add(before, value, context));
    if (after === null) throw new Mistake("the aggregate of a window is never null");
    const timestamp = Math.max(context.timestamp, old?.timestamp ?? -Infinity);
    view.set(key, { value: after, timestamp, dueMs: lastOpenMs(window, startMs) });
    trail.emitted++;
    if (emission === "close") return;
    cursor.record = timed(cursor, timestamp);
    const made = result(startMs, after);
    if (emission === "update") results(made);
    else
      cursor.queues?.deferred.push({ at, key: key.id, trail, record: cursor.record, value: made });
    cursor.record = record;
    cursor.step = at;
  }

  return {
    at,
    stores: [store.name],
    usesTime: true,
    keys(item, want) {
      const { raw, context } = item.record;
      if (raw.key === null || item.value === undefined) return;
      for (const startMs of startsOf(window, context.timestamp))
        want(store.name, keyOf(startMs, raw.key));
    },
    work(item, views) {
      const { trail, value, record } = item;
      if (record.raw.key === null || value === undefined) return dropUnkeyed(item, false, wiring);
      const view = views.view(store.name);
      let lateness: Lateness | null = null;
      for (const startMs of startsOf(window, record.context.timestamp)) {
        // mistake: window takes what is late
        const why = latenessOf(item, lastOpenMs(window, startMs));
        if (why === null) fold(item, view, startMs);
        else lateness ??= why;
      }
      if (lateness === null) return void count.passed++;
      trail.late = lateness;
      drop(wiring);
      late(value);
    },
    due({ key }, views) {
      const { bytes } = key as StateKey;
      const view = views.view(store.name);
      const entry = view.get(key as StateKey);
      view.set(key as StateKey, null);
      if (emission !== "close" || entry === null) return;
      const startMs = startOf(bytes);
      const own = recordKeyOf(bytes);
      cursor.record = closedRecord(
        cursor.record,
        own,
        endOf(window, startMs) - 1,
        options.keyOf(node, own),
      );
      count.passed++;
      results(result(startMs, entry.value));
    },
  };
};
