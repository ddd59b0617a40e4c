// What the benchmark found, for people.
import type { EngineReport, Result } from "./engine.ts";
import type { Workload } from "./contestant.ts";
import type { Profile } from "./profile.ts";

const FUNCTIONS_SHOWN = 12;

export const counted = (n: number): string => Math.round(n).toLocaleString("en");

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}

interface Line {
  readonly contestant: string;
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly brokerCpu: number;
  readonly redisCpu: number;
  readonly written: number;
}

/** One a contestant: medians of its rounds, CPU seconds of Kafka and Redis by a million records. */
function linesOf(results: readonly Result[]): Line[] {
  const names = [...new Set(results.map(({ contestant }) => contestant))];
  return names.map((contestant) => {
    const rounds = results.filter((result) => result.contestant === contestant);
    const median = (of: (result: Result) => number): number => medianOf(rounds.map(of));
    return {
      contestant,
      perSecond: median(({ records, seconds }) => records / seconds),
      perCpuSecond: median(({ records, cpuSeconds }) => records / cpuSeconds),
      brokerCpu: median(({ records, brokerCpuSeconds }) => (brokerCpuSeconds / records) * 1e6),
      redisCpu: median(({ records, redisCpuSeconds }) => (redisCpuSeconds / records) * 1e6),
      written: median(({ written }) => written),
    };
  });
}

export function reportText({ input, results, profiles }: EngineReport): string {
  const found = [...new Set(results.map(({ workload }) => workload))];
  return [
    `${counted(input.records)} JSON records of ${counted(input.valueBytes)} bytes, 20,000 keys, 4 partitions, exactly once, checkpoints of 100 ms.`,
    `sum tells the last value of a key and checkpoint (millrace: emit "checkpoint", kafka streams: its record cache); windows are told when they close.`,
    `Medians of the rounds; Kafka's and Redis' CPU seconds are by a million records. All answers were checked.`,
    ...found.flatMap((workload) => [
      "",
      ...tableOf(
        workload,
        results.filter((result) => result.workload === workload),
      ),
    ]),
    ...Object.entries(profiles).flatMap(([workload, profile]) => profileText(workload, profile)),
  ].join("\n");
}

function tableOf(workload: Workload, results: readonly Result[]): string[] {
  const lines = linesOf(results);
  const named = (start: string) => lines.find(({ contestant }) => contestant.startsWith(start));
  const peer = named("kafka streams") ?? named("millrace beside");
  const ratio = (ours: number, theirs: number | undefined): string =>
    theirs === undefined ? "-" : `${(ours / theirs).toFixed(2)}x`;
  const rows = lines.map((line) => [
    line.contestant,
    counted(line.perSecond),
    ratio(line.perSecond, peer?.perSecond),
    counted(line.perCpuSecond),
    ratio(line.perCpuSecond, peer?.perCpuSecond),
    line.brokerCpu.toFixed(2),
    line.redisCpu.toFixed(2),
    counted(line.written),
  ]);
  const head = ["records/s", "", "records/CPU s", "", "Kafka CPU s", "Redis CPU s", "written"];
  return aligned([[workload, ...head], ...rows]);
}

export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`.padStart(7);

function profileText(
  workload: string,
  { areas, functions, busySeconds, seconds }: Profile,
): string[] {
  return [
    "",
    `Where the time goes: ${workload}, one worker, ${busySeconds.toFixed(1)} s busy of ${seconds.toFixed(1)} s`,
    ...areas.map(({ what, share }) => `${percent(share)}  ${what}`),
    "  by function:",
    ...functions.slice(0, FUNCTIONS_SHOWN).map(({ what, share }) => `${percent(share)}  ${what}`),
  ];
}
