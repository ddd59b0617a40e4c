// Many cases in processes of their own, so that each begins alike.
import { spawn } from "node:child_process";
import { join } from "node:path";

export interface CasesReport {
  readonly cases: number;
  readonly rows: number;
  readonly shapes: Readonly<Record<string, number>>;
  readonly struck: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: number; readonly reason: string }[];
}

const runner = join(import.meta.dirname, "../../schedules/run.ts");

function played(from: number, to: number): Promise<CasesReport> {
  const args = ["--initial-old-space-size=512", runner, "--json"];
  const seeds = `${String(from)}..${String(to)}`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, "--seeds", seeds], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (out.startsWith("{")) resolve(JSON.parse(out) as CasesReport);
      else reject(new Error(`seeds ${seeds} ended with ${String(code)}`));
    });
  });
}

/** So many cases from this seed on, two processes at a time; `each` of them are one step. */
export async function playedAll(
  { from, cases, each }: { readonly from: number; readonly cases: number; readonly each: number },
  onStep: (next: number) => void = () => undefined,
): Promise<CasesReport[]> {
  const starts = Array.from({ length: Math.ceil(cases / each) }, (_, i) => from + i * each);
  const reports: CasesReport[] = [];
  const work = async (): Promise<void> => {
    for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
      reports.push(await played(start, Math.min(start + each, from + cases) - 1));
      onStep(start + each);
    }
  };
  await Promise.all([work(), work()]);
  return reports;
}

export const summed = (
  reports: readonly CasesReport[],
  of: (report: CasesReport) => Readonly<Record<string, number>>,
): Map<string, number> => {
  const sum = new Map<string, number>();
  for (const report of reports)
    for (const [name, count] of Object.entries(of(report)))
      sum.set(name, (sum.get(name) ?? 0) + count);
  return sum;
};
