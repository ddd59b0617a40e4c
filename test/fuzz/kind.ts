// A kind of foreign input: bytes from a writer of ours that were changed, and the reader of the product that meets them.
import { isDeepStrictEqual } from "node:util";
import { isDecimal } from "../../src/engine/core/decimal.ts";
import type { Draw } from "./draw.ts";

/** taken: the reader made something of it · refused: it said what it says of what is none of ours. */
export type Verdict = "taken" | "refused";

/** A look at what was read throws when a promise of the reader is broken. */
export type Read = Verdict | { readonly look: () => void };

export interface Kind<I> {
  readonly name: string;
  /** Codes that the reader may throw. */
  readonly codes: RegExp;
  /** The share of a run's time, beside the other kinds. */
  readonly weight: number;
  /** The time that a case takes, roughly, where it is more than a millisecond. */
  readonly costMs?: number;
  make(draw: Draw): I;
  /** Only this is timed; what was read may be looked at behind it. */
  read(input: I): Read | Promise<Read>;
  close?(): Promise<void>;
}

/** For a list of kinds, of which each makes what it reads. */
export type AnyKind = Kind<never>;

export const kindOf = <I>(kind: Kind<I>): AnyKind => kind as unknown as AnyKind;

/** A promise of a reader was broken, although it threw nothing. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export function must(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Broken(what);
}

const PLAIN: readonly unknown[] = [Object.prototype, null, Array.prototype, Uint8Array.prototype];

/** Every object below a value that was read is a plain one. */
export function mustBePlain(value: unknown): void {
  const open = [value];
  while (open.length > 0) {
    const one = open.pop();
    if (typeof one !== "object" || one === null || isDecimal(one)) continue;
    must(PLAIN.includes(Object.getPrototypeOf(one)), "a value has a prototype of another's");
    if (!(one instanceof Uint8Array)) for (const inner of Object.values(one)) open.push(inner);
  }
}

export function mustBeSame(one: unknown, other: unknown, what: string): void {
  must(isDeepStrictEqual(one, other), what);
}
