// docs/reliability.md from the results of runs: `node test/reliability/report.ts` writes it, `--check` says whether it is
// what the results give.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Times } from "../chaos/result.ts";
import { impossible } from "../chaos/catalogue.ts";
import { mutations } from "../simulation/mutations.ts";
import { lessons, notPromised, promises, verdicts } from "./words.ts";
import { readResults, rowSums, type Results } from "./results.ts";

export const reportFile: string = fileURLToPath(
  new URL("../../docs/reliability.md", import.meta.url),
);

const counted = (n: number): string => n.toLocaleString("en");
const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export function reliabilityText(results: Results): string {
  return [
    "# Reliability",
    "",
    "Written by `npm run reliability` from the results of runs in `test/reliability/results`; not by hand.",
    "",
    "## What we promise, and what shows it",
    ...table(["promise", "shown by"], promises),
    "",
    ...chaosText(results),
    ...simulationText(results),
    ...mistakesText(results),
    "## What was found on the way",
    "Each was mended, and has a test that fails without the mend.",
    "",
    ...lessons.map((lesson) => `- ${lesson}`),
    "",
    "## What we do not promise",
    ...notPromised.map((text) => `- ${text}`),
    "",
    "Not run here, and why:",
    "",
    ...table(
      ["row", "what", "why"],
      impossible.map(({ row, what, why }) => [String(row), what, why]),
    ),
    "",
  ].join("\n");
}

function chaosText({ chaos }: Results): string[] {
  const minutes = total(chaos.map(({ seconds }) => seconds)) / 60;
  const failed = chaos.filter(({ ok }) => !ok);
  const sum = (of: "records" | "letters" | "lost" | "doubled" | "wrong"): string =>
    counted(total(chaos.map((run) => run[of])));
  const most = (of: "rssBytesMax" | "filesMax"): number => Math.max(...chaos.map((run) => run[of]));
  return [
    "## Faults on real processes",
    `\`npm run chaos\`: ${counted(chaos.length)} runs, ${minutes.toFixed(0)} minutes in all, seeds ${chaos.map(({ seed }) => seed).join(", ")}.` +
      ` ${sum("records")} records, ${sum("letters")} dead letters; lost ${sum("lost")}, doubled ${sum("doubled")}, wrong ${sum("wrong")}.` +
      ` ${failed.length === 0 ? "No run failed." : `${counted(failed.length)} failed, see below.`}` +
      ` A worker held at most ${(most("rssBytesMax") / 1e6).toFixed(0)} MB and ${counted(most("filesMax"))} files.`,
    "Every flow is read by a committed reader while faults strike, ends with a sentinel through every partition, and is compared with a",
    "second, naive program over the input as it lies in Kafka. Lost and doubled are those of the whole flow that a row was part of.",
    "Recovery is the time from the end of the fault (of a kill: from the kill) to the next commit of what it had struck, in seconds:",
    "least / median / most.",
    "",
    ...table(
      ["row", "fault", "injected", "runs", "fired of planned", "lost", "doubled", "recovery"],
      rowSums(chaos).map((row) => [
        String(row.row),
        row.name,
        row.injected,
        counted(row.runs),
        `${counted(row.fired)} of ${counted(row.planned)}`,
        counted(row.lost),
        counted(row.doubled),
        timesText(row.firstCommit),
      ]),
    ),
    "",
    ...failed.flatMap(({ seed, problems }) => [
      `The run with seed ${String(seed)} failed. ${verdicts[seed] ?? ""}`,
      "",
      ...problems.slice(0, PROBLEMS_SHOWN).map((problem) => `- ${firstLine(problem)}`),
      ...(problems.length > PROBLEMS_SHOWN
        ? [`- and ${String(problems.length - PROBLEMS_SHOWN)} more of the same flow`]
        : []),
      "",
    ]),
  ];
}

const PROBLEMS_SHOWN = 3;
const firstLine = (text: string): string => (text.split("\n")[0] ?? "").slice(0, 200);

const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
const timesText = (times: Times | null): string =>
  times === null ? "" : [times.min, times.median, times.max].map(seconds).join(" / ");

function simulationText({ simulation }: Results): string[] {
  const { seeds, failures, struck, cost } = simulation;
  const { cpuMs, above } = cost;
  return [
    "## Deterministic simulation",
    "The real engine in virtual time: a seed makes the pipelines, the input and the moment of every fault; a naive program says what must",
    `come of it. ${counted(seeds)} seeds, ${counted(failures)} failed.${failures === 0 ? "" : " Those that failed pass since (see below)."}`,
    `CPU a seed, over ${counted(cost.seeds)}: ${cpuMs.mean.toFixed(1)} ms on average, ${cpuMs.p99.toFixed(1)} ms at the 99th percentile, ${cpuMs.max.toFixed(0)} ms at most.`,
    `${counted(above)} took more than 40 ms in passing, while V8 compiled or collected or the machine was shared; by itself the dearest takes ${cpuMs.own.toFixed(0)} ms.`,
    "Faults that struck:",
    "",
    ...table(
      ["fault", "times"],
      Object.entries(struck).map(([kind, count]) => [kind, counted(count)]),
    ),
    "",
  ];
}

function mistakesText({ mistakes }: Results): string[] {
  return [
    "## Deliberate mistakes",
    "Each changes marked places of the engine's source when a test process loads it (`test/simulation/mutations.ts`); the simulation must",
    "fail with it.",
    "",
    ...table(
      ["mistake", "what is wrong then", "caught by the check of", "after seeds"],
      mistakes.map(({ name, by, seed }) => [
        name,
        mutations.find((one) => one.name === name)?.mistake ?? "",
        by ?? "**nothing**",
        String(seed ?? "-"),
      ]),
    ),
    "",
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = reliabilityText(readResults());
  if (!process.argv.includes("--check")) writeFileSync(reportFile, text);
  else if (readFileSync(reportFile, "utf8") !== text) {
    console.error("docs/reliability.md is not what the results give: npm run reliability");
    process.exitCode = 1;
  }
}
