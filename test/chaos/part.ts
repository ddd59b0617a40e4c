// One examined flow: a long one among many faults, or that of one scenario.
import type { Examination } from "./workload/examination.ts";
import type { RowResult } from "./result.ts";
import type { World } from "./world/world.ts";

/** What everything that runs is given. */
export interface RunContext {
  readonly seed: number;
  readonly minutes: number;
  readonly perSecond: number;
  readonly say: (line: string) => void;
}

export interface Part {
  readonly rows: readonly RowResult[];
  /** Rows in the order in which they struck. */
  readonly order: readonly number[];
  readonly exam: Examination;
  readonly problems: readonly string[];
  readonly workersStarted: number;
  readonly rssBytesMax: number;
  readonly filesMax: number;
}

/** The examination and what the workers have left. */
export const partOf = (
  world: World,
  exam: Examination,
  more: Pick<Part, "rows" | "order" | "problems">,
): Part => ({
  ...more,
  exam,
  problems: [...more.problems, ...exam.problems, ...world.crew.troubles],
  workersStarted: world.crew.started,
  rssBytesMax: world.crew.bounds.rssBytes,
  filesMax: world.crew.bounds.files,
});

export const textOfError = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
