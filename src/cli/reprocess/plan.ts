// `millrace reprocess plan`: what a run would read, make and leave out, without doing any of it.
import { referencesOf } from "../../engine/reprocess/plan/pin.ts";
import { planRun, type PlannedRun } from "../../engine/reprocess/plan/run-plan.ts";
import type { RangePlace } from "../../engine/reprocess/words/run.ts";
import type { Plan } from "../../engine/core/plan.ts";
import { exitCodes } from "../io.ts";
import { grouped, spanText } from "../progress.ts";
import { tableLines } from "../table-lines.ts";
import type { AddVerb, Reprocessing } from "./connection.ts";
import { rangeJson } from "./lines.ts";
import { requestOf, withRange, type RangeOptions } from "./request.ts";

const HELP = `
FROM is the first offset that would be read, TO the first that would not. RECORDS counts offsets, of which some may be none.

Exit codes: 0 shown · 2 usage, or the range is not there (any more) · 3 no such pipeline or topic · 69 a server is away ·
78 a problem of configuration.

Examples:
  $ npx millrace reprocess plan customer-orders
  $ npx millrace reprocess plan customer-orders --from 2026-01-05 --to 2026-01-12 --in-place
  $ npx millrace reprocess plan retail --file tills.csv.gz --topic retail.transactions --json`;

interface PlanOptions extends RangeOptions {
  readonly json?: boolean;
}

export const planVerb: AddVerb = (group, within) => {
  withRange(group.command("plan").argument("<pipeline>"))
    .option("--json", "print one JSON object")
    .description("show what a run would read and make; changes nothing")
    .addHelpText("after", HELP)
    .action((name: string, options: PlanOptions) =>
      within(name, (at, plan) => showPlan(at, plan, options)),
    );
};

/** Also `reprocess run --dry-run`. */
export async function showPlan(
  { io, ports }: Reprocessing,
  plan: Plan,
  options: PlanOptions,
): Promise<number> {
  const planned = await planRun(plan, requestOf(options, io), ports);
  for (const line of options.json === true ? [planJson(planned)] : planLines(planned)) io.out(line);
  for (const warning of planned.warnings) io.err(`Mind: ${warning}`);
  return exitCodes.ok;
}

function planJson({ row, shadow, topics, tables, warnings, seconds }: PlannedRun): string {
  const { pipeline, run, target, options, counts } = row;
  const range = rangeJson(row.range.places);
  const loadFirst = [...referencesOf(shadow)];
  const reads = { pipeline, run, target, options, range, loadFirst, records: counts.total };
  return JSON.stringify({ ...reads, topics, tables, warnings, seconds });
}

function planLines({ row, shadow, topics, tables, seconds }: PlannedRun): readonly string[] {
  const { pipeline, run, options, target, counts } = row;
  const { source } = options;
  const about = seconds === null ? "" : `, about ${spanText(seconds)} by the last run`;
  const staged =
    source.kind === "file"
      ? [`beside it: the rows of ${source.path} as records of ${source.topic}`]
      : source.kind === "dead-letters"
        ? [`the open dead letters of ${pipeline}`]
        : [];
  return [
    `run ${String(run)} of ${pipeline}, ${target === "shadow" ? "into tables of its own" : "in place"}`,
    "",
    ...(row.range.places.length === 0 ? [] : rangeLines(row.range.places)),
    `${grouped(counts.total)} records${about}`,
    ...endLines(shadow, row),
    ...staged,
    ...[...referencesOf(shadow)].map((topic) => `${topic} is read first, and whole`),
    "",
    `topics to be made: ${topics.join(", ")}`,
    `tables to be made: ${tables.join(", ") || "none"}`,
  ];
}

/** Only where something closes at all. */
function endLines({ parts }: Plan, { options }: PlannedRun["row"]): readonly string[] {
  const closes = parts.some(({ nodes }) => nodes.some(({ facts }) => facts.closes === true));
  if (!closes) return [];
  return [
    options.end === "close"
      ? "at its end every window closes (--end close)"
      : "windows that are open at its end stay open, and give no rows (--end keep)",
  ];
}

const rangeLines = (places: readonly RangePlace[]): readonly string[] =>
  tableLines([
    ["PART", "TOPIC", "PARTITION", "FROM", "TO", "RECORDS"],
    ...places.map(({ part, topic, partition, from, to }) => [
      part,
      topic,
      String(partition),
      String(from),
      String(to),
      grouped(Number(to - from)),
    ]),
  ]);
