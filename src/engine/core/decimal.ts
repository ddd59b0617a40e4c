// Decimal: exact decimal numbers for money. A value is unscaled × 10^-scale with a bigint, so adding, comparing and
// Avro's decimal bytes cost no conversion. Values are frozen in one normal form (no trailing zeros after the point),
// so equal numbers are deeply equal and print alike. JavaScript numbers are refused: they have been rounded already.

export type DecimalInput = Decimal | string | bigint;
/** half-up rounds 0.5 away from zero, as schools and invoices do. */
export type RoundingMode = "half-up" | "half-even" | "down" | "up";

/** An exact decimal number. Operands are decimals, texts such as "12.30", or bigints. */
export interface Decimal {
  plus(other: DecimalInput): Decimal;
  minus(other: DecimalInput): Decimal;
  times(other: DecimalInput): Decimal;
  /** Exact where 20 decimal places suffice, else rounded half-up to 20 places. */
  div(other: DecimalInput): Decimal;
  /** To `places` decimal places (default 0), half-up by default. */
  round(places?: number, mode?: RoundingMode): Decimal;
  neg(): Decimal;
  abs(): Decimal;
  cmp(other: DecimalInput): -1 | 0 | 1;
  eq(other: DecimalInput): boolean;
  gt(other: DecimalInput): boolean;
  gte(other: DecimalInput): boolean;
  lt(other: DecimalInput): boolean;
  lte(other: DecimalInput): boolean;
  /** With exactly `places` decimal places, rounded half-up; without an argument as many as it has. */
  toFixed(places?: number): string;
  toString(): string;
  toJSON(): string;
}

/**
 * Makes a Decimal.
 * @example
 * decimal("12.30").plus("0.70").toFixed(2); // "13.00"
 */
export const decimal = (value: DecimalInput): Decimal => exactOf(value);

export const isDecimal = (value: unknown): value is Decimal => value instanceof ExactDecimal;

/** unscaled × 10^-scale, as Avro and Postgres store it. */
export const fromUnscaled = (unscaled: bigint, scale: number): Decimal => normal(unscaled, scale);

/** The bigint of the value at this scale, or null when it has more decimal places. */
export function unscaledOf(value: Decimal, scale: number): bigint | null {
  const { unscaled, scale: places } = exactOf(value);
  return places > scale ? null : unscaled * powerOfTen(scale - places);
}

/** Decimal places of `div` when the result does not end. */
const DIVISION_PLACES = 20;
/** Bounds what a short text such as "1e999999999" may allocate. */
const EXPONENT_MAX = 1_000;
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/;

class ExactDecimal implements Decimal {
  // Public and enumerable, so that assert.deepEqual sees them.
  readonly unscaled: bigint;
  readonly scale: number;

  constructor(unscaled: bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
    Object.freeze(this);
  }
  plus(other: DecimalInput): Decimal {
    const o = exactOf(other);
    const scale = Math.max(this.scale, o.scale);
    return normal(at(this, scale) + at(o, scale), scale);
  }
  minus(other: DecimalInput): Decimal {
    return this.plus(exactOf(other).neg());
  }
  times(other: DecimalInput): Decimal {
    const o = exactOf(other);
    return normal(this.unscaled * o.unscaled, this.scale + o.scale);
  }
  div(other: DecimalInput): Decimal {
    const o = exactOf(other);
    if (o.unscaled === 0n) throw new RangeError("division by zero");
    const shift = DIVISION_PLACES + o.scale - this.scale;
    // A dividend with more places than we keep makes the divisor larger instead: nothing is cut before the rounding.
    const top = shift >= 0 ? this.unscaled * powerOfTen(shift) : this.unscaled;
    const bottom = shift >= 0 ? o.unscaled : o.unscaled * powerOfTen(-shift);
    return normal(quotient(top, bottom, "half-up"), DIVISION_PLACES);
  }
  round(places = 0, mode: RoundingMode = "half-up"): Decimal {
    checkPlaces(places);
    if (places >= this.scale) return this;
    return normal(quotient(this.unscaled, powerOfTen(this.scale - places), mode), places);
  }
  neg(): Decimal {
    return new ExactDecimal(-this.unscaled, this.scale);
  }
  abs(): Decimal {
    return this.unscaled < 0n ? this.neg() : this;
  }
  cmp(other: DecimalInput): -1 | 0 | 1 {
    const o = exactOf(other);
    const scale = Math.max(this.scale, o.scale);
    const a = at(this, scale);
    const b = at(o, scale);
    return a === b ? 0 : a < b ? -1 : 1;
  }
  eq(other: DecimalInput): boolean {
    return this.cmp(other) === 0;
  }
  gt(other: DecimalInput): boolean {
    return this.cmp(other) > 0;
  }
  gte(other: DecimalInput): boolean {
    return this.cmp(other) >= 0;
  }
  lt(other: DecimalInput): boolean {
    return this.cmp(other) < 0;
  }
  lte(other: DecimalInput): boolean {
    return this.cmp(other) <= 0;
  }
  toFixed(places: number = this.scale): string {
    checkPlaces(places);
    const rounded = exactOf(this.round(places));
    const digits = at(rounded.abs() as ExactDecimal, places)
      .toString()
      .padStart(places + 1, "0");
    const sign = rounded.unscaled < 0n ? "-" : "";
    if (places === 0) return sign + digits;
    return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`;
  }
  toString(): string {
    return this.toFixed();
  }
  toJSON(): string {
    return this.toFixed();
  }
  /** `a < b` and `+a` compile for objects; they must not compare texts or lose places. */
  valueOf(): never {
    throw new TypeError("a Decimal is no number: use lt, gt, eq, plus … or toString");
  }
}

function exactOf(value: DecimalInput): ExactDecimal {
  if (value instanceof ExactDecimal) return value;
  if (typeof value === "bigint") return new ExactDecimal(value, 0);
  if (typeof value === "string") return parse(value);
  throw new TypeError(
    `expected a Decimal, a text or a bigint, received ${value === null ? "null" : `a ${typeof value}`}`,
  );
}

function parse(text: string): ExactDecimal {
  const [, sign, whole = "", part = "", exponentText = "0"] = SYNTAX.exec(text) ?? [];
  const digits = whole + part;
  if (digits === "") throw new RangeError("the text is no decimal number");
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > EXPONENT_MAX)
    throw new RangeError(`the exponent of a decimal must be within ±${String(EXPONENT_MAX)}`);
  const scale = part.length - exponent;
  const unscaled = sign === "-" ? -BigInt(digits) : BigInt(digits);
  return scale < 0 ? new ExactDecimal(unscaled * powerOfTen(-scale), 0) : normal(unscaled, scale);
}

/** Takes the trailing zeros off, down to scale 0. */
function normal(unscaled: bigint, scale: number): ExactDecimal {
  let u = unscaled;
  let s = scale;
  while (s > 0 && u % 10n === 0n) {
    u /= 10n;
    s--;
  }
  return new ExactDecimal(u, s);
}

const at = (value: ExactDecimal, scale: number): bigint =>
  scale === value.scale ? value.unscaled : value.unscaled * powerOfTen(scale - value.scale);

const powers: bigint[] = Array.from({ length: 64 }, (_, n) => 10n ** BigInt(n));
const powerOfTen = (n: number): bigint => powers[n] ?? 10n ** BigInt(n);

function quotient(top: bigint, bottom: bigint, mode: RoundingMode): bigint {
  const whole = top / bottom;
  const rest = top % bottom;
  if (rest === 0n || mode === "down") return whole;
  const away = top < 0n === bottom < 0n ? 1n : -1n;
  if (mode === "up") return whole + away;
  const twice = magnitude(rest) * 2n;
  const half = magnitude(bottom);
  const isAway = twice > half || (twice === half && (mode === "half-up" || whole % 2n !== 0n));
  return isAway ? whole + away : whole;
}
const magnitude = (n: bigint): bigint => (n < 0n ? -n : n);

function checkPlaces(places: number): void {
  if (!Number.isInteger(places) || places < 0 || places > EXPONENT_MAX)
    throw new RangeError(`decimal places must be a whole number from 0 to ${String(EXPONENT_MAX)}`);
}
