// `millrace reprocess plan`: what a run would read, make and leave out, without doing any of it.
import { planRun, type PlannedRun } from "../../engine/reprocess/plan/run-plan.ts";
import { rangeText } from "../../engine/reprocess/words/rows.ts";
import type { RangePlace } from "../../engine/reprocess/words/run.ts";
import type { PlansOf } from "../connection.ts";
import { exitCodes, type Register } from "../io.ts";
import { grouped, spanText } from "../progress.ts";
import { tableLines } from "../table-lines.ts";
import { planOf, reprocessing, type ConnectReprocess } from "./connection.ts";
import { requestOf, withRange, type RangeOptions } from "./request.ts";

const HELP = `
FROM is the first offset that would be read, TO the first that would not. RECORDS counts offsets, of which some may be none.

Exit codes: 0 shown · 2 usage, or the range is not there (any more) · 3 no such pipeline or topic · 69 a server is away ·
78 a problem of configuration.

Examples:
  $ npx millrace reprocess plan customer-orders
  $ npx millrace reprocess plan customer-orders --from 2026-01-05 --to 2026-01-12 --in-place
  $ npx millrace reprocess plan retail --file tills.csv.gz --topic retail.transactions --json`;

export const planVerb =
  (connect: ConnectReprocess, plans: PlansOf): Register =>
  (program, run) => {
    withRange(program.command("plan").argument("<pipeline>"))
      .option("--json", "print one JSON object")
      .description("show what a run would read and make; changes nothing")
      .addHelpText("after", HELP)
      .action((name: string, options: RangeOptions & { json?: boolean }) =>
        run((io) =>
          reprocessing(connect, plans, {
            io,
            async work(at) {
              const planned = await planRun(planOf(at, name), requestOf(options, io), at.ports);
              for (const line of options.json === true ? [planJson(planned)] : planLines(planned))
                io.out(line);
              for (const warning of planned.warnings) io.err(`Mind: ${warning}`);
              return exitCodes.ok;
            },
          }),
        ),
      );
  };

export const planJson = ({ row, topics, tables, warnings, seconds }: PlannedRun): string => {
  const { pipeline, run, target, options, counts } = row;
  const { places } = JSON.parse(rangeText({ ...row.range, pins: {} })) as {
    places: { from: { offset: string }; to: { offset: string } }[];
  };
  const range = places.map(({ from, to, ...place }) => ({
    ...place,
    from: Number(from.offset),
    to: Number(to.offset),
  }));
  const { total: records } = counts;
  return JSON.stringify({
    pipeline,
    run,
    target,
    options,
    range,
    records,
    topics,
    tables,
    warnings,
    seconds,
  });
};

export function planLines({ row, topics, tables, seconds }: PlannedRun): readonly string[] {
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
    ...staged,
    "",
    `topics to be made: ${topics.join(", ")}`,
    `tables to be made: ${tables.join(", ") || "none"}`,
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
