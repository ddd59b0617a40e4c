// `millrace reprocess verify`: are the tables of a run what the live ones are? Every row, at one moment.
import { instantText } from "../../engine/core/event-time.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { RowDifference } from "../../engine/reprocess/verify/comparison.ts";
import { behindOf, type BehindCounts } from "../../engine/reprocess/verify/behind.ts";
import { verifyRun } from "../../engine/reprocess/verify/verification.ts";
import { isEqual, type TableComparison } from "../../engine/reprocess/verify/comparison.ts";
import { auditPersonal } from "../personal.ts";
import { exitCodes } from "../io.ts";
import { timeOption, usage, wholeOption } from "../option-values.ts";
import { grouped } from "../progress.ts";
import { refuseBeside } from "../operating.ts";
import type { AddVerb, Reprocessing } from "../reprocess/connection.ts";
import { tableLines } from "../table-lines.ts";
import { promoting, runNamed } from "./ports.ts";

const HELP = `
Rows meet by primary key; every declared column is compared, byte by byte. MISSING rows are in the live table only, EXTRA
ones in the run's only. NEWER are rows that live has written since the end of the run was taken: no difference. CHECKSUM
is over all rows in whatever order. A run that follows is held still meanwhile; live goes on. With --barrier live stops
for some seconds, until the run is where it stands: then no row is newer. Killed in it: npx millrace resume.
"behind" counts records that came behind the time of an operator, since live and the run began: where there are none, windows
are the same for certain. Of a run that begins at a time, rows that may be made of records from before it are not compared; --since says from when on.
Keys and values of personal fields are masked unless --personal; who asks for them is noted, and npx millrace dlq stats shows it.

Exit codes: 0 equal · 1 different · 2 usage, or no tables · 3 no such pipeline or run · 5 the run cannot be compared, or another process
works on it · 69 a server is away, or live is behind.

Examples:
  $ npx millrace reprocess verify customer-orders
  $ npx millrace reprocess verify customer-orders --run 7 --keys > keys.ndjson`;

interface VerifyOptions {
  readonly run?: string;
  readonly samples?: string;
  readonly barrier?: boolean;
  readonly since?: string;
  readonly keys?: boolean;
  readonly personal?: boolean;
  readonly json?: boolean;
}

const LIMIT_MS = 60_000;

export const verifyVerb: AddVerb = (group, within) => {
  group
    .command("verify")
    .argument("<pipeline>")
    .option("--run <n>", "this run (default: the newest)")
    .option("--samples <n>", "rows that differ to show (default: 10)")
    .option("--barrier", "stop live for a moment, and compare every row; the run must follow")
    .option("--since <time>", "compare rows from this time on (default: by the start of the run)")
    .option("--keys", "print every key that differs, one JSON object a line")
    .option("--personal", "show personal data instead of masking it; who does is noted")
    .option("--json", "print one JSON object a table")
    .description("compare the tables of a run with the live ones")
    .addHelpText("after", HELP)
    .action((name: string, options: VerifyOptions) =>
      within(name, (at, plan) => verify(at, plan, options)),
    );
};

async function verify(at: Reprocessing, plan: Plan, options: VerifyOptions): Promise<number> {
  const { io, ports } = at;
  if (plan.tables.length === 0)
    throw usage(`${plan.pipeline} writes no tables, so there is nothing to compare`);
  const samplesMax = wholeOption("--samples", options.samples, { min: 0, fallback: 10 });
  const row = await runNamed(at, plan, options.run);
  const isKeys = options.keys === true;
  const onDifference = (table: string, difference: RowDifference): void => {
    if (isKeys) io.out(JSON.stringify({ table, ...difference }));
  };
  const showPersonal = options.personal === true;
  if (showPersonal)
    await auditPersonal(
      { io, plan, ports },
      "reprocess verify --personal",
      `${plan.pipeline}'s tables`,
    );
  const atBarrier = options.barrier === true;
  if (atBarrier) await refuseBeside([plan], ports, {});
  const say = (line: string): void => io.err(line);
  const sinceMs = options.since === undefined ? null : timeOption("--since", options.since, "");
  const facts = { plan, samplesMax, showPersonal, limitMs: LIMIT_MS, atBarrier, sinceMs };
  return promoting(at, plan, LIMIT_MS, async () => {
    const found = await verifyRun(row, { ...facts, onDifference, say }, ports);
    const behind = await behindOf(plan, row, ports);
    const lines =
      options.json === true
        ? found.map((one) => jsonOf(one, behind))
        : [...textOf(found), behindText(behind)];
    // With --keys the data is the keys.
    for (const line of lines) (isKeys ? io.err : io.out)(line);
    const newer = found.reduce((sum, table) => sum + table.newer, 0);
    if (newer > 0)
      io.err(`${grouped(newer)} rows have changed in live since: --barrier compares them too`);
    for (const line of found.flatMap(startLines)) io.err(line);
    return found.every(isEqual) ? exitCodes.ok : exitCodes.failure;
  });
}

const jsonOf = (found: TableComparison, behind: BehindCounts): string =>
  JSON.stringify({ ...found, isEqual: isEqual(found), behind });

const behindText = ({ live, run }: BehindCounts): string =>
  `behind: ${grouped(live)} in live, ${grouped(run)} in the run`;

function textOf(all: readonly TableComparison[]): readonly string[] {
  const header = ["TABLE", "ROWS", "CHECKSUM", "MISSING", "EXTRA", "DIFFERENT", "NEWER", "VERDICT"];
  const rows = all.flatMap((found) => [
    [
      found.table,
      grouped(found.live.rows),
      found.live.checksum,
      ...[found.missing, found.extra, found.different, found.newer].map(grouped),
      verdictOf(found),
    ],
    [found.shadowTable, grouped(found.shadow.rows), found.shadow.checksum],
  ]);
  return [...tableLines([header, ...rows.map(filled)]), ...all.flatMap(detailsOf)];
}

function verdictOf(found: TableComparison): string {
  if (!isEqual(found)) return "different";
  return found.newer === 0 ? "equal" : "equal, but for the newer";
}

/** How the start of the run's range shows in the rows. */
function startLines({ table, sinceMs, hasTimes, isOpen, below }: TableComparison): string[] {
  if (sinceMs === null) return [];
  if (!hasTimes)
    return [
      `${table}: its rows have no event time, so those from before the range are compared too`,
    ];
  const since = instantText(sinceMs);
  return [
    ...(below === 0
      ? []
      : [
          `${table}: ${grouped(below)} rows from before ${since} reach below the range: not compared`,
        ]),
    ...(isOpen
      ? [`${table}: rows may be made of records however old: --since compares from a time on`]
      : []),
  ];
}

const filled = (cells: string[]): string[] => [
  ...cells,
  ...Array.from({ length: 8 - cells.length }, () => ""),
];

function detailsOf({ table, columns, unlike, samples }: TableComparison): string[] {
  const counted = Object.entries(columns).map(([name, n]) => `${name} in ${grouped(n)}`);
  return [
    ...(unlike.length === 0 ? [] : [`${table}: not compared: ${unlike.join(", ")}`]),
    ...(counted.length === 0 ? [] : [`${table}: ${counted.join(", ")}`]),
    ...samples.map(({ kind, key, values }) => {
      const texts = Object.entries(values).map(
        ([name, { live, shadow }]) => `${name} ${live ?? "null"} → ${shadow ?? "null"}`,
      );
      return `  ${kind} ${key.join(", ")}${texts.length === 0 ? "" : `: ${texts.join(", ")}`}`;
    }),
  ];
}
