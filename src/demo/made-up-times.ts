// The times that generators make up. All lie within a span that begins on a fixed day, so the same options give the same
// records; the more records there are, the closer they are. None passes the clock: it lags instead.

/** From a generator's first time on. */
export const SPAN_MS: number = 90 * 86_400_000;

/** Epoch ms. */
export type Now = () => number;

/** The factor of all distances, so that all records together fit into the span. */
export const squeeze = (naturalMs: number): number => Math.min(1, SPAN_MS / naturalMs);

/** A time that has passed, by the clock. */
export const passed = (ms: number, now: Now): number => Math.min(ms, now());
