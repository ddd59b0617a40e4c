// Spans of time, shares and counts as types of their own: a bare number does not compile.

declare const unit: unique symbol;

/** A span of time. Make one with {@link days}, {@link hours}, {@link minutes}, … */
export interface Duration {
  readonly ms: number;
  readonly [unit]?: "duration";
}
/** A share. `percent(5)` is 0.05. */
export interface Share {
  readonly share: number;
  readonly [unit]?: "share";
}
/** A number of records. */
export interface RecordCount {
  readonly records: number;
  readonly [unit]?: "records";
}

const duration = (ms: number): Duration => {
  if (!Number.isFinite(ms) || ms < 0)
    throw new RangeError(`a duration must be 0 or more, received ${String(ms)} ms`);
  return Object.freeze({ ms });
};
export const milliseconds = (n: number): Duration => duration(n);
export const seconds = (n: number): Duration => duration(n * 1000);
export const minutes = (n: number): Duration => duration(n * 60_000);
export const hours = (n: number): Duration => duration(n * 3_600_000);
export const days = (n: number): Duration => duration(n * 86_400_000);
export const percent = (n: number): Share => Object.freeze({ share: n / 100 });
export const records = (n: number): RecordCount => Object.freeze({ records: n });
