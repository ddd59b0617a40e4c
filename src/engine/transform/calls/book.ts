// The results of calls, by record: a batch that runs again, or after a wait, repeats no call for the same value.
import type { RawRecord } from "../../core/record.ts";
import { contentText } from "./content.ts";
import type { CallError, Tried } from "./policy.ts";

/** The end of the calls for one record, or the failure after which it is to be queued. */
export type Noted =
  | { readonly kind: "answer"; readonly answer: unknown }
  | { readonly kind: "dead"; readonly error: CallError }
  | { readonly kind: "retries"; readonly tried: Tried; readonly dueMs: number };

/** A single call of a record, which may reach a step several times. */
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
  try {
    return contentText(a) === contentText(b);
  } catch {
    // No content to compare.
    return false;
  }
}
