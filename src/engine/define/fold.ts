// How values of one key become one: sums, extremes and means of numbers, bigints and Decimals.
import { decimal, isDecimal, type Decimal } from "../core/decimal.ts";

export type Fold = (a: unknown, b: unknown) => unknown;

export interface Mean {
  readonly sum: number | Decimal | null;
  readonly count: number;
}

export function meanOf({ sum, count }: Mean): number | Decimal {
  if (typeof sum === "number") return sum / count;
  return (sum ?? decimal("0")).div(BigInt(count));
}

export function plus(a: unknown, b: unknown): number | bigint | Decimal {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (typeof a === "bigint" && typeof b === "bigint") return a + b;
  if (isDecimal(a) && isDecimal(b)) return a.plus(b);
  throw new TypeError("numbers, bigints and Decimals add up, each with its own kind");
}

/** Negative, 0 or positive. */
export function compare(a: unknown, b: unknown): number {
  if (isDecimal(a) && isDecimal(b)) return a.cmp(b);
  if (typeof a !== typeof b || typeof a === "object")
    throw new TypeError("numbers, bigints, texts and Decimals compare, each with its own kind");
  return (a as number) < (b as number) ? -1 : a === b ? 0 : 1;
}
