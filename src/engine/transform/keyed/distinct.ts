// distinct: the first record of its kind passes. It is remembered for the span in stream time, counted from the moment it
// passed, so the answer is the same however often the input is read, and state is bounded.
import { isDecimal } from "../../core/decimal.ts";
import { kindOf, MillraceError, Mistake, settled } from "../../core/errors.ts";
import type { Callback, Operation, PlanStore } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import {
  drop,
  dropUnkeyed,
  forgetting,
  type Item,
  type Lateness,
  type MakeOperator,
  stateKey,
} from "../operator.ts";
import { contentOf } from "../calls/content.ts";

/** The rule for a repeat that says something else than the first. */
interface Repeats {
  readonly conflict: "dead-letter" | "log";
  /** The part that is compared; null: the whole value. */
  readonly content: ((value: unknown) => unknown) | null;
}

export interface Distinct extends Operation {
  readonly kind: "distinct";
  readonly by: Callback<unknown>;
  readonly store: PlanStore;
  /** The rule for repeats. Without it, every repeat is dropped, whatever it says. */
  readonly onRepeat?: Repeats;
}

export const keepingDistinct: MakeOperator<Distinct> = ({ name, operation }, wiring) => {
  const { by, store, onRepeat } = operation;
  const { at, count, next, options } = wiring;
  const span = store.retentionMs ?? Infinity;
  return {
    at,
    stores: [store.name],
    usesTime: true,
    keys(item, want) {
      const { raw, context } = item.record;
      if (raw.key === null || item.value === undefined) return;
      item.key = repeatKey(raw.key, settled(by(item.value, context)));
      want(store.name, item.key);
    },
    work(item, views) {
      const { key, trail, value } = item;
      if (value !== undefined) {
        if (key === null) return dropUnkeyed(item, false, wiring);
        const view = views.view(store.name);
        const now = item.record.originMs;
        // mistake: late is on time
        trail.late = latenessOf(item, span);
        if (trail.late !== null) return drop(wiring);
        const seen = view.get(key);
        const content = onRepeat === undefined ? true : contentBy(onRepeat, value);
        if (seen !== null && now - seen.timestamp <= span) {
          if (onRepeat !== undefined && differs(seen, content)) {
            // mistake: conflict is a repeat
            if (onRepeat.conflict === "dead-letter") throw conflictAt(name, seen);
            options.onBroken(name);
          }
          trail.isRepeat = true;
          return drop(wiring);
        }
        view.set(key, { value: content, timestamp: now, dueMs: now + span });
      }
      count.passed++;
      next(value);
    },
    due: forgetting(store.name),
  };
};

/**
 * A record that is older than what is remembered: its first may be forgotten. A letter that comes back was asked for by its
 * operator, so the time that has passed since does not count against it.
 */
function latenessOf({ record, watermark }: Item, span: number): Lateness | null {
  const since = record.context.timestamp + span;
  if (since < record.originMs) return "own";
  if (record.raw.redriven !== undefined) return null;
  return since < watermark ? "closed" : null;
}

const contentBy = ({ content }: Repeats, value: unknown): string =>
  contentOf(content === null ? value : settled(content(value)));

/** An entry that was stored without a content, `true`, is not known to differ. */
const differs = ({ value }: StateEntry, content: string | true): boolean =>
  typeof value === "string" && value !== content;

const conflictAt = (name: string, { timestamp }: StateEntry): MillraceError => {
  const since = new Date(timestamp).toISOString();
  return new MillraceError(
    "MILL_DISTINCT_CONFLICT",
    `distinct "${name}", remembered from ${since}`,
  );
};

/**
 * The record's key, 0x00, and the parts as JSON, which has no 0x00: so no two pairs have the same bytes. A part's type
 * counts: 1 and "1" are two things, decimals of the same value are one.
 */
function repeatKey(key: Buffer, given: unknown): StateKey {
  const parts = (Array.isArray(given) ? given : [given]).map(partOf);
  return stateKey(Buffer.concat([key, Buffer.from(`\0${JSON.stringify(parts)}`, "utf8")]));
}

function partOf(part: unknown): unknown {
  if (typeof part === "string" || typeof part === "boolean" || part === null) return part;
  if (typeof part === "number" && Number.isFinite(part)) return part;
  if (typeof part === "bigint") return { $i: String(part) };
  if (isDecimal(part)) return { $d: part.toString() };
  const kinds = "texts, finite numbers, bigints, Decimals, booleans and null compare";
  throw new Mistake(`${kinds}; received ${kindOf(settled(part))}`);
}
