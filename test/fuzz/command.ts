// The work of `npm run fuzz`. It returns the exit code: 0 nothing is wrong, 1 something is, 2 usage.
import { parseArgs } from "node:util";
import { play, type Finding, type Report } from "./campaign.ts";
import { inputOf, judge } from "./judge.ts";
import type { AnyKind } from "./kind.ts";
import { shown } from "./shown.ts";

const spec = {
  minutes: { type: "string", default: "5" },
  seed: { type: "string" },
  kind: { type: "string", multiple: true },
  case: { type: "string" },
  cases: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

export interface FuzzPorts {
  readonly print: (line: string) => void;
  readonly onSeed?: (seed: number) => void;
  /** Before each case. */
  readonly onCase?: (kind: string, number: number) => void;
}
type Print = FuzzPorts["print"];

const helpOf = (kinds: readonly AnyKind[]): string => `Usage: npm run fuzz -- [options]
  --minutes <n>   for so long (5)
  --seed <n>      the seed; without it one is drawn, and printed
  --kind <name>   only this kind, and others that are named so: ${kinds.map(({ name }) => name).join(", ")}
  --cases <n>     so many, for each point of a kind's weight, in place of a time: always the same
  --case <n>      plays one case of a seed and a kind, and shows what is read
Exit codes: 0 nothing is wrong, 1 something is, 2 usage.`;

interface Options {
  readonly seed: number;
  readonly ms: number;
  /** Empty: all. */
  readonly names: readonly string[];
  readonly number: number | null;
  /** In place of a time. */
  readonly cases: number | null;
}

export async function fuzz(
  argv: readonly string[],
  kinds: readonly AnyKind[],
  ports: FuzzPorts,
): Promise<number> {
  const { print } = ports;
  const { values } = parseArgs({ args: [...argv], options: spec });
  if (values.help) {
    print(helpOf(kinds));
    return 0;
  }
  const options: Options = {
    seed: Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)),
    ms: Number(values.minutes) * 60_000,
    names: values.kind ?? [],
    number: values.case === undefined ? null : Number(values.case),
    cases: values.cases === undefined ? null : Number(values.cases),
  };
  const usage = usageOf(options, kinds);
  if (usage === null) return played(options, kinds, ports);
  print(usage);
  return 2;
}

function usageOf(
  { seed, ms, names, number, cases }: Options,
  kinds: readonly AnyKind[],
): string | null {
  const isNumber = [seed, number ?? 0, cases ?? 0].every(Number.isSafeInteger) && ms > 0;
  if (!isNumber) return "--seed, --minutes, --cases and --case take a number.";
  const unknown = names.find((name) => !kinds.some((kind) => kind.name === name));
  if (unknown !== undefined) return `There is no kind ${unknown}.`;
  return number !== null && names.length !== 1 ? "--case is of one --kind." : null;
}

async function played(
  { seed, ms, cases, names, number }: Options,
  kinds: readonly AnyKind[],
  { print, onSeed, onCase = () => undefined }: FuzzPorts,
): Promise<number> {
  const chosen = kinds.filter(({ name }) => names.length === 0 || names.includes(name));
  if (number !== null) return one(chosen[0] as AnyKind, seed, number, print);
  print(`seed ${String(seed)}`);
  onSeed?.(seed);
  const onFinding = (finding: Finding): void => print(findingText(seed, finding));
  const length = cases === null ? { ms } : { cases };
  const report = await play({ seed, kinds: chosen, ...length, onFinding, onCase });
  for (const line of reportLines(report)) print(line);
  return report.findings.length > 0 ? 1 : 0;
}

async function one(kind: AnyKind, seed: number, number: number, print: Print): Promise<number> {
  print(shown(inputOf(kind, seed, number)));
  const { verdict, wrong, code, cpuMs } = await judge(kind, seed, number);
  print(`${verdict}${code === null ? "" : ` ${code}`}, ${cpuMs.toFixed(1)} ms`);
  if (wrong !== null) print(wrong);
  await kind.close?.();
  return wrong === null ? 0 : 1;
}

const findingText = (seed: number, { kind, number, wrong }: Finding): string =>
  `wrong: --seed ${String(seed)} --kind ${kind} --case ${String(number)}\n  ${wrong}`;

function reportLines({ seed, tallies, findings, keptBytes }: Report): string[] {
  const rows = [...tallies].map(([name, { taken, refused, wrong, slowestMs, slowest, codes }]) => {
    const counts = [taken, refused, wrong].map((n) => String(n).padStart(9)).join("");
    const slow = `${slowestMs.toFixed(1).padStart(9)} ms (case ${String(slowest)})`;
    const seen = [...codes].sort(([, a], [, b]) => b - a);
    const texts = seen.map(([code, n]) => `${code} ${String(n)}`);
    return `${name.padEnd(14)}${counts}${slow}  ${texts.join(", ")}`;
  });
  const cases = [...tallies.values()].reduce((sum, t) => sum + t.taken + t.refused + t.wrong, 0);
  const kept = `${(keptBytes / 1e6).toFixed(1)} MB kept`;
  const most = `${(process.resourceUsage().maxRSS / 1e3).toFixed(0)} MB at most`;
  const sum = `seed ${String(seed)}: ${String(cases)} cases, ${String(findings.length)} findings`;
  return [
    `${"".padEnd(14)}    taken  refused    wrong  slowest`,
    ...rows,
    `${sum}, ${kept}, ${most}`,
  ];
}
