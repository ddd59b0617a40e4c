// What calls came to, by record: a batch that runs again, or goes on after a wait, does not call again for the same value.
import { isDecimal } from "../../core/decimal.ts";
import type { RawRecord } from "../../core/record.ts";
import type { CallError, Tried } from "./policy.ts";

/** How the calls for one record ended, or after which failure it is to be queued. */
export type Noted =
  | { readonly kind: "answer"; readonly answer: unknown }
  | { readonly kind: "dead"; readonly error: CallError }
  | { readonly kind: "retries"; readonly tried: Tried; readonly dueMs: number };

/** One call of one record: it may reach a step several times. */
export interface CallPlace {
  readonly raw: RawRecord;
  readonly at: number;
  readonly nth: number;
  readonly value: unknown;
}

export class CallBook {
  readonly notes: Map<RawRecord, Map<string, { value: unknown; noted: Noted }>> = new Map();
  /** Records that are too large to be queued. */
  readonly inPlace: Set<RawRecord> = new Set();

  /** Null where nothing is noted, or of another value. */
  find({ raw, at, nth, value }: CallPlace): Noted | null {
    const found = this.notes.get(raw)?.get(`${String(at)}/${String(nth)}`);
    return found !== undefined && isSame(found.value, value) ? found.noted : null;
  }

  note({ raw, at, nth, value }: CallPlace, noted: Noted): void {
    const ofRecord = this.notes.get(raw) ?? new Map<string, { value: unknown; noted: Noted }>();
    this.notes.set(raw, ofRecord.set(`${String(at)}/${String(nth)}`, { value, noted }));
  }
}

/** False in doubt: then the call is made again. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  const areObjects = typeof a === "object" && typeof b === "object" && a !== null && b !== null;
  return areObjects && areSame(a, b);
}

function areSame(a: object, b: object): boolean {
  if (isDecimal(a)) return isDecimal(b) && a.eq(b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  return isPlain(a) && isPlain(b) && Array.isArray(a) === Array.isArray(b) && sameFields(a, b);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

function sameFields(a: object, b: object): boolean {
  const [own, other] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    own.length === other.size &&
    own.every(([name, value]) => other.has(name) && isSame(value, other.get(name)))
  );
}
