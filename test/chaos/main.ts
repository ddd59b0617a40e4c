// npm run chaos: reads its options, runs what they choose, prints the plan, what happened and the verdict.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faults, listing, scenarios } from "./catalogue.ts";
import { HELP, readOptions, UsageError, type Options } from "./options.ts";
import { linesOf } from "./result.ts";
import { chaosRun } from "./run.ts";
import { Home } from "./world/home.ts";

async function main(options: Options): Promise<number> {
  if (options.help) return (void console.log(HELP), 0);
  const known = new Set([...faults, ...scenarios].map(({ row }) => row));
  const unknown = options.rows?.filter((row) => !known.has(row)) ?? [];
  if (unknown.length > 0) throw new UsageError(`--faults: no row ${unknown.join(", ")}`);
  const isChosen = ({ row }: { readonly row: number }): boolean =>
    options.rows?.includes(row) ?? true;
  const chosen = { faults: faults.filter(isChosen), scenarios: scenarios.filter(isChosen) };
  const home = new Home();
  const stop = (): void => {
    // Servers and workers are ended by their keepers, which hear of our end.
    process.exit(1);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const say = (line: string): void => {
    (options.json ? console.error : console.log)(line);
  };
  try {
    const { seed, minutes, rate: perSecond } = options;
    const result = await chaosRun(home, chosen, { seed, minutes, perSecond, say });
    const text = JSON.stringify(result, null, 2);
    if (options.out !== null) writeFileSync(options.out, `${text}\n`);
    if (options.json) console.log(text);
    if (!result.ok) {
      const folder = join(tmpdir(), `millrace-chaos-logs-${String(seed)}-${String(process.pid)}`);
      home.saveLogs(folder);
      say(`logs of every process: ${folder}`);
    }
    for (const line of linesOf(result)) say(line);
    return result.ok ? 0 : 1;
  } finally {
    await home.close();
  }
}

try {
  process.exitCode = await main(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\nSee: npm run chaos -- --help`);
  process.exitCode = 2;
}
