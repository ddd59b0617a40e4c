// `millrace reprocess run`: begins a run or goes on with one, and stays until it is over.
import { MillraceError } from "../../engine/core/errors.ts";
import type { Plan } from "../../engine/core/plan.ts";
import { planRun } from "../../engine/reprocess/plan/run-plan.ts";
import type { RunReport } from "../../engine/reprocess/control/controller.ts";
import { isActive, type RunRow } from "../../engine/reprocess/words/run.ts";
import { runSession, type SessionEnd } from "../../engine/reprocess/run/session.ts";
import { exitCodes, type CliIo } from "../io.ts";
import { usage, wholeOption } from "../option-values.ts";
import { grouped, spanText } from "../progress.ts";
import { writingRun, type AddVerb, type Reprocessing } from "./connection.ts";
import { fillOf } from "./fill.ts";
import { progressLine, reportJson, rowJson } from "./lines.ts";
import { showPlan } from "./plan.ts";
import { lettersMaxOf, requestOf, withRange, type RangeOptions } from "./request.ts";

const HELP = `
A run reads its range with workers of its own, under the pipeline's name with -r<run> behind it: groups, stores, topics
(<topic>-r<run>) and tables (<table>_r<run>) are its own, and the live pipeline goes on. With --in-place rows go into the
live tables, where a row that the live pipeline has written since the run began always stays.
At the end of its range every window closes, as no record comes behind it. With --end keep those that are open stay open and
give no rows, as in the live pipeline: for promote, and to verify beside live. So do --follow and --in-place by themselves.
SIGTERM or SIGINT drains the workers; --resume goes on where they were. One run of a pipeline at a time.

Exit codes: 0 done · 1 failed, or cancelled · 2 usage, or the range is not there · 3 no such pipeline, topic or run ·
5 another run is not finished · 69 a server is away · 78 a problem of configuration · 130 interrupted, may be resumed.

Examples:
  $ npx millrace reprocess run customer-orders
  $ npx millrace reprocess run customer-orders --from 2026-01-05 --to 2026-01-12 --workers 2 --rate 20000
  $ npx millrace reprocess run retail --file tills.csv.gz --topic retail.transactions --fail-on-letters 1%
  $ npx millrace reprocess run customer-orders --dead-letters --in-place
  $ npx millrace reprocess run customer-orders --resume`;

interface RunVerbOptions extends RangeOptions {
  readonly run?: string;
  readonly resume?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export const runVerb: AddVerb = (group, within) => {
  withRange(group.command("run").argument("<pipeline>"))
    .option("--resume", "go on with the run that is not finished")
    .option("--run <n>", "go on with this run, also if it has failed")
    .option("--dry-run", "show what would be read and made; changes nothing")
    .option("--json", "print one JSON object each second, and one at the end")
    .description("run the pipeline over a range, beside the live one")
    .addHelpText("after", HELP)
    .action((name: string, options: RunVerbOptions) => within(name, writingRun(play, options)));
};

async function play(at: Reprocessing, plan: Plan, options: RunVerbOptions): Promise<number> {
  const { io, ports, connection } = at;
  const isResume = options.resume === true || options.run !== undefined;
  checkUsage(options, isResume);
  const request = requestOf(options, io);
  if (options.dryRun === true) return showPlan(at, plan, options);
  const begin = isResume
    ? () => resumed(at, plan, options)
    : async () => {
        await checkIdle(at, plan);
        const planned = await planRun(plan, request, ports);
        for (const warning of planned.warnings) io.err(`Mind: ${warning}`);
        const row = await ports.runs.create(planned.row);
        io.err(`run ${String(row.run)} of ${row.pipeline}: ${grouped(row.counts.total)} records`);
        return row;
      };
  const end = await runSession({
    plan,
    ports,
    begin,
    fill: (row) => fillOf(plan, row, at),
    work: (row, shadow, probed) => connection.work(row, shadow, probed),
    report: reporter(io, options.json === true),
    say: (line) => io.err(line),
  });
  return reportEnd(io, end, options.json === true);
}

const RANGE = [
  ...["from", "to", "fromOffset", "toOffset", "offsets"],
  ...["file", "deadLetters", "inPlace", "end"],
];

function checkUsage(options: RunVerbOptions, isResume: boolean): void {
  const given = RANGE.filter((name) => name in options);
  if (!isResume || given.length === 0) return;
  throw usage("a run that is gone on with keeps its range, source and target");
}

async function checkIdle({ ports }: Reprocessing, { pipeline }: Plan): Promise<void> {
  const active = await ports.runs.active(pipeline);
  if (active === null) return;
  const detail = `run ${String(active.run)} of ${pipeline} is ${active.state}: go on with --resume, or end it with npx millrace reprocess cancel ${pipeline}`;
  throw new MillraceError("MILL_RUN_ACTIVE", detail);
}

/** Called under the lock. The command's rate, limits and workers replace those of the row. */
async function resumed(
  { ports }: Reprocessing,
  { pipeline }: Plan,
  options: RunVerbOptions,
): Promise<RunRow> {
  const number = wholeOption("--run", options.run, { min: 1, fallback: null });
  const active = await ports.runs.active(pipeline);
  const row = number === null ? active : await ports.runs.find(pipeline, number);
  if (row === null) {
    const which = number === null ? "no unfinished run" : `no run ${String(number)}`;
    throw new MillraceError("MILL_NOT_FOUND", `${which} of ${pipeline}`);
  }
  checkResumable(row, active);
  const how = { options: howAgain(row, options) };
  const hasStarted = row.step === "range" || row.step === "following";
  const state = hasStarted ? "running" : "planned";
  const changes = row.state === "failed" ? ({ ...how, state, error: null } as const) : how;
  return (await ports.runs.update(row, changes)) ?? row;
}

function checkResumable(row: RunRow, active: RunRow | null): void {
  if (active !== null && active.run !== row.run)
    throw new MillraceError("MILL_RUN_ACTIVE", `run ${String(active.run)} is ${active.state}`);
  if (!isActive(row) && row.state !== "failed")
    throw new MillraceError("MILL_RUN_STATE", `run ${String(row.run)} is ${row.state}`);
}

function howAgain({ options: before }: RunRow, options: RunVerbOptions): RunRow["options"] {
  const number = (name: "rate" | "lagLimit" | "workers", min: number): number | null =>
    wholeOption(`--${name}`, options[name], { min, fallback: null });
  return {
    ...before,
    rate: number("rate", 1) ?? before.rate,
    lagLimitMs: number("lagLimit", 100) ?? before.lagLimitMs,
    workers: number("workers", 1) ?? before.workers,
    follow: before.follow || options.follow === true,
    lettersMax: lettersMaxOf(options.failOnLetters) ?? before.lettersMax,
  };
}

const PLAIN_EVERY = 5;

function reporter(io: CliIo, isJson: boolean): (report: RunReport) => void {
  let count = 0;
  return (report) => {
    const isFirst = count++ === 0;
    if (isJson) io.out(reportJson(report));
    else if (io.isTty) io.err(progressLine(report), !isFirst);
    else if (isFirst || count % PLAIN_EVERY === 0) io.err(progressLine(report));
  };
}

function reportEnd(io: CliIo, { row, isInterrupted }: SessionEnd, isJson: boolean): number {
  const { pipeline, run, counts, state } = row;
  if (isJson) io.out(rowJson(row));
  if (isInterrupted) {
    io.err(`run ${String(run)} is interrupted: npx millrace reprocess run ${pipeline} --resume`);
    return exitCodes.interrupted;
  }
  const took = `${grouped(counts.done)} records in ${spanText(counts.seconds)}`;
  const letters = `${grouped(counts.letters)} dead letters`;
  if (!isJson) io.out(`run ${String(run)} of ${pipeline} is ${state}: ${took}, ${letters}`);
  if (state === "failed") throw new MillraceError("MILL_RUN_FAILED", withWay(row));
  return state === "cancelled" ? exitCodes.failure : exitCodes.ok;
}

/** Its error; where that names no command, the one that goes on with it. */
function withWay({ pipeline, run, error }: RunRow): string {
  if (error?.includes("npx millrace") === true) return error;
  return `${error ?? ""}. To go on: npx millrace reprocess run ${pipeline} --run ${String(run)}`;
}
