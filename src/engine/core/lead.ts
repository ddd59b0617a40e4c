// The commands that lead on, as messages print them. A run of the reprocessor is no pipeline that an operator can name: it is
// gone on with, or another run begins.
import type { Plan } from "./plan.ts";

/** A pipeline, or the run of one. */
export type Operated = Pick<Plan, "pipeline" | "runOf">;

/** Lets it go on when what was wrong is mended. */
export const resumeCommand = ({ pipeline, runOf }: Operated): string =>
  runOf === undefined
    ? `npx millrace resume ${pipeline}`
    : `npx millrace reprocess run ${runOf.pipeline} --run ${String(runOf.run)}`;

/** Puts progress elsewhere, which a run cannot: its range is what it is. */
export const resetCommand = ({ pipeline, runOf }: Operated, how: string): string =>
  runOf === undefined
    ? `npx millrace offsets reset ${pipeline} ${how}`
    : `npx millrace reprocess run ${runOf.pipeline}`;

/** Shows the entries of a store's changelog that cannot be read, and what `--repair` would write. */
export const stateRepairCommand = (
  { pipeline, runOf }: Operated,
  store: string,
  partition: number,
): string =>
  runOf === undefined
    ? `npx millrace state rebuild ${pipeline} ${store} --partition ${String(partition)} --dry-run`
    : `npx millrace reprocess cancel ${runOf.pipeline} --run ${String(runOf.run)}`;

/** Shows what cannot be read of its notes, and what `--yes` would write. */
export const notesRepairCommand = ({ pipeline, runOf }: Operated): string =>
  runOf === undefined
    ? `npx millrace notes repair ${pipeline}`
    : `npx millrace reprocess cancel ${runOf.pipeline} --run ${String(runOf.run)}`;
