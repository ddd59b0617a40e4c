// How values of one key become one: sums, extremes and means of numbers, bigints and Decimals.
import { decimal, isDecimal, type Decimal } from "../../../core/decimal.ts";
import { kindOf, Mistake, settled } from "../../../core/mistake.ts";

export type Fold = (a: unknown, b: unknown) => unknown;

export interface Mean {
  readonly sum: number | Decimal | null;
  readonly count: number;
}

export function meanOf({ sum, count }: Mean): number | Decimal {
  if (typeof sum === "number") return sum / count;
  return (sum ?? decimal("0")).div(BigInt(count));
}

/** The value, if it adds up; throws a Mistake for anything else, also as the first of a key. */
export function addable(value: unknown): number | bigint | Decimal {
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value))
    return value as number | bigint | Decimal;
  throw new Mistake(
    `finite numbers, bigints and Decimals add up; received ${kindOf(settled(value))}`,
  );
}

/** The value, if it has a mean. */
export function averageable(value: unknown): number | Decimal {
  const one = addable(value);
  if (typeof one === "bigint")
    throw new Mistake("numbers and Decimals have a mean; received a bigint");
  return one;
}

/** The value, if it compares; throws a Mistake for anything else, also as the first of a key. */
export function comparable(value: unknown): unknown {
  if (typeof value === "string") return value;
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value)) return value;
  const kinds = "finite numbers, bigints, texts and Decimals compare";
  throw new Mistake(`${kinds}; received ${kindOf(settled(value))}`);
}

export function plus(a: unknown, b: unknown): number | bigint | Decimal {
  if (typeof a === "number" && typeof b === "number") return addable(a + b);
  if (typeof a === "bigint" && typeof b === "bigint") return a + b;
  if (isDecimal(a) && isDecimal(b)) return a.plus(b);
  throw new Mistake(`the values of a key add up by one kind; received ${both(a, b)}`);
}

export const least: Fold = (a, b) => (compare(b, a) < 0 ? b : a);
export const most: Fold = (a, b) => (compare(b, a) > 0 ? b : a);

/** Negative, 0 or positive. */
function compare(a: unknown, b: unknown): number {
  if (isDecimal(a) && isDecimal(b)) return a.cmp(b);
  if (typeof a !== typeof b || typeof a === "object")
    throw new Mistake(`the values of a key compare by one kind; received ${both(a, b)}`);
  return (a as number) < (b as number) ? -1 : a === b ? 0 : 1;
}

const nameOf = (value: unknown): string => (isDecimal(value) ? "a Decimal" : kindOf(value));
const both = (a: unknown, b: unknown): string => `${nameOf(a)} and ${nameOf(b)}`;
