// Progress of a long command on stderr: one line that is drawn again on a terminal, a plain line now and then
// elsewhere. Shows how many, how fast, and how long still where the total is known.
import type { Clock } from "../engine/core/ports.ts";
import type { CliIo } from "./io.ts";

interface Progress {
  /** Counts `n` more. */
  add(n: number): void;
  /** Prints the last line. */
  end(): void;
}

interface ProgressOptions {
  /** The action that is counted, such as "sent". */
  readonly done: string;
  /** Null when it is not known. */
  readonly total: number | null;
}

const TTY_EVERY_MS = 200;
const PLAIN_EVERY_MS = 5_000;

export function progress(
  io: Pick<CliIo, "err" | "isTty">,
  clock: Pick<Clock, "monotonic">,
  options: ProgressOptions,
): Progress {
  const startMs = clock.monotonic();
  const everyMs = io.isTty ? TTY_EVERY_MS : PLAIN_EVERY_MS;
  let count = 0;
  let drawnMs = startMs;
  let isDrawn = false;
  const draw = (nowMs: number, isLast: boolean): void => {
    drawnMs = nowMs;
    const line = progressLine({ ...options, count, elapsedMs: nowMs - startMs, isLast });
    io.err(line, io.isTty && isDrawn);
    isDrawn = true;
  };
  return {
    add(n) {
      count += n;
      const nowMs = clock.monotonic();
      if (nowMs - drawnMs >= everyMs) draw(nowMs, false);
    },
    end: () => draw(clock.monotonic(), true),
  };
}

interface ShownProgress extends ProgressOptions {
  readonly count: number;
  readonly elapsedMs: number;
  readonly isLast: boolean;
}

/** "12,000 of 48,000 records sent (25 %), 6,000/s, 6 s left" */
export function progressLine(at: ShownProgress): string {
  const rate = at.elapsedMs === 0 ? 0 : (at.count * 1000) / at.elapsedMs;
  const isPartial = at.total !== null && at.total > 0 && !at.isLast;
  const share = isPartial ? ` of ${grouped(at.total)}` : "";
  const percent = isPartial ? ` (${String(Math.floor((at.count * 100) / at.total))} %)` : "";
  const left = isPartial && rate > 0 ? `, ${spanText((at.total - at.count) / rate)} left` : "";
  const taken = at.isLast ? ` in ${spanText(at.elapsedMs / 1000)}` : "";
  return `${grouped(at.count)}${share} records ${at.done}${percent}${taken}, ${grouped(rate)}/s${left}`;
}

/** 1234567.8 → "1,234,568" */
export const grouped = (n: number): string => Math.round(n).toLocaleString("en-US");

/** Seconds as a person says them: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min". */
export function spanText(seconds: number): string {
  if (seconds < 10) return `${String(Math.round(Math.max(seconds, 0) * 10) / 10)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${String(whole)} s`;
  if (whole < 3600) return `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
  return `${String(Math.floor(whole / 3600))} h ${String(Math.floor((whole % 3600) / 60))} min`;
}
