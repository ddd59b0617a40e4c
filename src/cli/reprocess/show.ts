// `millrace reprocess status | list | cancel`: what runs there were, how far one is, and ending one.
import { MillraceError } from "../../engine/core/errors.ts";
import type { Plan } from "../../engine/core/plan.ts";
import { progressOfRun } from "../../engine/reprocess/control/run-progress.ts";
import { shadowOfRun } from "../../engine/reprocess/run/prepare.ts";
import { isActive, type RunRow, type Stall } from "../../engine/reprocess/words/run.ts";
import { exitCodes, paragraph } from "../io.ts";
import { wholeOption } from "../option-values.ts";
import { tableLines } from "../table-lines.ts";
import type { AddVerb, Reprocessing } from "./connection.ts";
import { listLines, rowJson, stallText } from "./lines.ts";

interface ShowOptions {
  readonly run?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const LIST_HELP = `
Exit codes: 0 shown · 3 no such pipeline · 69 a server is away.

Examples:
  $ npx millrace reprocess list
  $ npx millrace reprocess list customer-orders --json`;

const STATUS_HELP = `
A run that decides nothing says since when, and why.

Exit codes: 0 shown · 1 it has failed, or decides nothing · 3 no such pipeline or run · 69 a server is away.

Examples:
  $ npx millrace reprocess status customer-orders
  $ npx millrace reprocess status customer-orders --run 3 --json`;

const CANCEL_HELP = `
Its workers drain and end within seconds; topics and tables of the run stay for a look. A run that is promoting is not
cancelled: abort the promotion.

Exit codes: 0 cancelled, or shown by --dry-run · 3 no such pipeline, or no run to cancel · 5 it is promoting ·
69 a server is away.

Examples:
  $ npx millrace reprocess cancel customer-orders`;

export const showVerbs: AddVerb = (group, within, onRuns) => {
  const one = (verb: Verb) => (name: string, options: ShowOptions) =>
    within(name, (at, plan) => verb(at, plan, options));
  group
    .command("list")
    .argument("[pipeline]")
    .option("--json", "print one JSON object a run")
    .description("list the runs, newest first")
    .addHelpText("after", LIST_HELP)
    .action((name: string | undefined, options: ShowOptions) =>
      name === undefined
        ? onRuns((at) => list(at, null, options))
        : within(name, (at, plan) => list(at, plan, options)),
    );
  group
    .command("status")
    .argument("<pipeline>")
    .option("--run <n>", "this run (default: the newest)")
    .option("--json", "print one JSON object")
    .description("show how far a run is")
    .addHelpText("after", STATUS_HELP)
    .action(one(status));
  group
    .command("cancel")
    .argument("<pipeline>")
    .option("--run <n>", "this run (default: the one that is not finished)")
    .option("--dry-run", "show what would be cancelled; changes nothing")
    .option("--json", "print one JSON object")
    .description("end a run; what it has made stays")
    .addHelpText("after", CANCEL_HELP)
    .action(one(cancel));
};

type Verb = (at: Reprocessing, plan: Plan, options: ShowOptions) => Promise<number>;

async function list(
  { io, ports }: Reprocessing,
  plan: Plan | null,
  { json }: ShowOptions,
): Promise<number> {
  const rows = await ports.runs.list(plan?.pipeline ?? null);
  for (const line of json === true ? rows.map(rowJson) : listLines(rows)) io.out(line);
  return exitCodes.ok;
}

async function found(
  { ports }: Reprocessing,
  { pipeline }: Plan,
  { options, isActiveOnly }: { readonly options: ShowOptions; readonly isActiveOnly: boolean },
): Promise<RunRow> {
  const number = wholeOption("--run", options.run, { min: 1, fallback: null });
  const rows = await ports.runs.list(pipeline);
  const fits = ({ run, ...row }: RunRow): boolean =>
    (number === null || run === number) && (!isActiveOnly || isActive(row) || number !== null);
  const row = rows.find(fits);
  if (row !== undefined) return row;
  const which = number === null ? "" : ` ${String(number)}`;
  const kind = isActiveOnly ? "unfinished run" : "run";
  throw new MillraceError("MILL_NOT_FOUND", `${pipeline} has no ${kind}${which}`);
}

async function status(at: Reprocessing, plan: Plan, options: ShowOptions): Promise<number> {
  const row = await found(at, plan, { options, isActiveOnly: false });
  const still = stallOf(row);
  const code = still !== null || row.state === "failed" ? exitCodes.failure : exitCodes.ok;
  if (options.json === true) {
    at.io.out(rowJson(row));
    return code;
  }
  for (const line of listLines([row])) at.io.out(line);
  if (row.error !== null) paragraph(at.io.out, `\n${row.error}`);
  if (still !== null) paragraph(at.io.out, `\nThe run ${stallText(still)}`);
  if (row.state === "running") for (const line of await placeLines(at, plan, row)) at.io.out(line);
  return code;
}

const stallOf = ({ state, counts }: RunRow): Stall | null =>
  state === "running" ? (counts.stall ?? null) : null;

async function placeLines({ ports }: Reprocessing, plan: Plan, row: RunRow): Promise<string[]> {
  const { progress } = await progressOfRun(shadowOfRun(plan, row), row, ports);
  const lines = progress.map(({ part, topic, partition, nextOffset }) => {
    const end = row.range.places.find(
      (place) => place.part === part && place.topic === topic && place.partition === partition,
    );
    const next = nextOffset === null ? "-" : String(nextOffset);
    return [part, topic, String(partition), next, end === undefined ? "-" : String(end.to)];
  });
  return ["", ...tableLines([["PART", "TOPIC", "PARTITION", "COMMITTED", "TO"], ...lines])];
}

async function cancel(at: Reprocessing, plan: Plan, options: ShowOptions): Promise<number> {
  const { io, ports } = at;
  const row = await found(at, plan, { options, isActiveOnly: true });
  const name = `run ${String(row.run)} of ${row.pipeline}`;
  if (!isActive(row) || row.state === "promoting")
    throw new MillraceError("MILL_RUN_STATE", `${name} is ${row.state}`);
  if (options.dryRun === true) {
    io.out(options.json === true ? rowJson(row) : `${name} is ${row.state} and would be cancelled`);
    return exitCodes.ok;
  }
  const states = ["planned", "staging", "running"] as const;
  const changed = await ports.runs.update(row, { state: "cancelled" }, states);
  if (changed === null) throw new MillraceError("MILL_RUN_STATE", `${name} has gone on meanwhile`);
  io.out(options.json === true ? rowJson(changed) : `${name} is cancelled`);
  return exitCodes.ok;
}
