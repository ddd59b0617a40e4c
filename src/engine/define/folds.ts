// Folds of the values of one key: counts, sums, extremes and means of numbers, bigints and Decimals, and what a user folds.
// Aggregates of a key and of its windows are made of them.
import { decimal, isDecimal, type Decimal } from "../core/decimal.ts";
import { kindOf, Mistake, settled } from "../core/errors.ts";
import type { RecordContext } from "../core/record.ts";
import type { Schema, SchemaFormat } from "../core/schema.ts";
import type { WrongValue } from "../core/state.ts";

/** Numbers that can be added and compared. Floats add up as floats do: money is a Decimal. */
export type Addable = number | bigint | Decimal;
export type Comparable = Addable | string;

/** The parts of an aggregate, as its operator works them. */
export interface Folding {
  readonly format: SchemaFormat;
  init(key: unknown): unknown;
  add(aggregate: unknown, value: unknown, record: RecordContext): unknown;
  /** Folds of whole numbers and Decimals, in any order (O3). Floats add up in the order that they come. */
  readonly anyOrder?: boolean;
  /** Left out where values are the user's own. */
  readonly wrongValue?: WrongValue;
  /** Makes one aggregate of two, the earlier first; left out where the user has not said how. */
  readonly merge?: (a: unknown, b: unknown) => unknown;
  /** Makes the result of an aggregate; left out where that is the result. */
  readonly finish?: (aggregate: unknown) => unknown;
}

/** A fold of the user's, with a value of its own type. */
export interface UserFold {
  readonly value: Schema<unknown>;
  readonly init: unknown;
  readonly add: unknown;
  readonly merge?: unknown;
}

const internal: SchemaFormat = { kind: "tagged-json" };

export const folding = ({ value, init, add, merge }: UserFold): Folding =>
  ({ init, add, merge, format: value.format }) as Folding;

export const counting: Folding = {
  format: internal,
  anyOrder: true,
  init: () => 0,
  add: (n) => (n as number) + 1,
  wrongValue: (_key, value) =>
    Number.isSafeInteger(value) && (value as number) >= 0 ? null : "it is no count",
  merge: (a, b) => (a as number) + (b as number),
};

/** From the first value on: there is nothing to begin with. */
export const reducing = (of: (value: never) => unknown, fold: Fold): Folding => ({
  format: internal,
  init: () => null,
  add(aggregate, value) {
    const one = of(value as never);
    return aggregate === null ? one : fold(aggregate, one);
  },
  merge: fold,
});

export const summing = (of: (value: never) => Addable): Folding => ({
  ...reducing((value) => addable(of(value)), plus),
  anyOrder: true,
});
export const finding = (of: (value: never) => Comparable, fold: Fold): Folding => ({
  ...reducing((value) => comparable(of(value)), fold),
  anyOrder: true,
});

export const averaging = (of: (value: never) => number | Decimal): Folding => ({
  format: internal,
  anyOrder: true,
  init: (): Mean => ({ sum: null, count: 0 }),
  add(mean, value): Mean {
    const { sum, count } = mean as Mean;
    const one = averageable(of(value as never));
    return { sum: sum === null ? one : (plus(sum, one) as number | Decimal), count: count + 1 };
  },
  merge(a, b): Mean {
    const [{ sum, count }, other] = [a as Mean, b as Mean];
    return { sum: plus(sum, other.sum) as number | Decimal, count: count + other.count };
  },
  finish: (mean) => meanOf(mean as Mean),
});

export type Fold = (a: unknown, b: unknown) => unknown;

interface Mean {
  readonly sum: number | Decimal | null;
  readonly count: number;
}

function meanOf({ sum, count }: Mean): number | Decimal {
  if (typeof sum === "number") return sum / count;
  return (sum ?? decimal("0")).div(BigInt(count));
}

/** The value, if it adds up; throws a Mistake for anything else, also as the first of a key. */
function addable(value: unknown): number | bigint | Decimal {
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value))
    return value as number | bigint | Decimal;
  throw new Mistake(
    `finite numbers, bigints and Decimals add up; received ${kindOf(settled(value))}`,
  );
}

/** The value, if it has a mean. */
function averageable(value: unknown): number | Decimal {
  const one = addable(value);
  if (typeof one === "bigint")
    throw new Mistake("numbers and Decimals have a mean; received a bigint");
  return one;
}

/** The value, if it compares; throws a Mistake for anything else, also as the first of a key. */
function comparable(value: unknown): unknown {
  if (typeof value === "string") return value;
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value)) return value;
  const kinds = "finite numbers, bigints, texts and Decimals compare";
  throw new Mistake(`${kinds}; received ${kindOf(settled(value))}`);
}

function plus(a: unknown, b: unknown): number | bigint | Decimal {
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
