// What a run has come to, as data for a report and as lines for people. The last line is the verdict with its counts.
export interface Times {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** All strikes of one row. */
export interface RowResult {
  readonly row: number;
  readonly name: string;
  readonly injected: string;
  readonly runs: number;
  /** Its scenario did not come to its end, so nothing was judged; left out: no. */
  readonly givenUp?: boolean;
  readonly planned: number;
  readonly fired: number;
  /** Due entries that fired from the beginning of each strike until after its end. */
  readonly due: number;
  /** Of the whole flow that this row was part of. */
  readonly lost: number;
  readonly doubled: number;
  /** In ms, from the end of the fault (of a kill: from the kill). */
  readonly firstCommit: Times | null;
  readonly caughtUp: Times | null;
  readonly notes: readonly string[];
}

export interface ChaosResult {
  readonly version: 1;
  readonly seed: number;
  readonly minutes: number;
  readonly brokers: number;
  readonly startedAt: string;
  readonly seconds: number;
  readonly plan: readonly number[];
  readonly rows: readonly RowResult[];
  readonly records: number;
  readonly letters: number;
  readonly seenByReader: number;
  /** Due entries that have fired, each once. */
  readonly due: number;
  /** Results of event time, each once: windows that have closed, of the join, of handlers' timers, and of late records. */
  readonly windows: number;
  readonly pairs: number;
  readonly pauses: number;
  readonly late: number;
  readonly lost: number;
  readonly doubled: number;
  readonly wrong: number;
  readonly workersStarted: number;
  readonly rssBytesMax: number;
  readonly filesMax: number;
  /** Everything that speaks against it; empty when it holds. */
  readonly problems: readonly string[];
  readonly ok: boolean;
}

export function timesOf(all: readonly number[]): Times | null {
  if (all.length === 0) return null;
  const sorted = all.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? 0;
  return { min: at(0), median: at(Math.floor(sorted.length / 2)), max: at(sorted.length - 1) };
}

const shown = (times: Times | null): string =>
  times === null
    ? "-"
    : [times.min, times.median, times.max].map((ms) => (ms / 1_000).toFixed(1)).join("/");

/** For people; the last line is the verdict. */
export function linesOf(result: ChaosResult): string[] {
  const rows = result.rows.map(({ row, name, runs, planned, fired, due, firstCommit, caughtUp }) =>
    [
      String(row).padStart(3),
      name.padEnd(36),
      `runs ${String(runs)}`.padEnd(9),
      `fired ${String(fired)}/${String(planned)}`.padEnd(14),
      `due ${String(due)}`.padEnd(10),
      `next commit ${shown(firstCommit)} s`.padEnd(32),
      `caught up ${shown(caughtUp)} s`,
    ].join(" "),
  );
  return [
    "row, strikes, due entries that fired, seconds until the next commit of every task and until all was done (min/median/max)",
    ...rows,
    ...result.problems.map((problem) => `problem: ${problem}`),
    verdictOf(result),
  ];
}

export function verdictOf(result: ChaosResult): string {
  const strikes = result.rows.reduce((sum, { fired }) => sum + fired, 0);
  const givenUp = result.rows.filter((one) => one.givenUp === true).map(({ row }) => String(row));
  const counts = [
    `seed ${String(result.seed)}`,
    `${String(result.records)} records`,
    `${String(result.rows.length)} rows`,
    `${String(strikes)} strikes`,
    `${String(result.due)} due`,
    `${String(result.windows)} windows`,
    `${String(result.pairs)} pairs`,
    `${String(result.pauses)} pauses`,
    `${String(result.late)} late`,
    `lost ${String(result.lost)}`,
    `doubled ${String(result.doubled)}`,
    `wrong ${String(result.wrong)}`,
    ...(givenUp.length === 0 ? [] : [`given up ${givenUp.join(" ")}`]),
    `problems ${String(result.problems.length)}`,
  ];
  return `${result.ok ? "OK" : "FAILED"}: ${counts.join(", ")}`;
}
