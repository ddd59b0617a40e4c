// npm run chaos: reads its options, runs what they choose, prints the plan, what happened and the verdict.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faults, listing, scenarios } from "./catalogue.ts";
import { HELP, readOptions, UsageError, type Options } from "./options.ts";
import { linesOf, type ChaosResult } from "./result.ts";
import { chaosRun, type Chosen } from "./run.ts";
import { Home } from "./world/home.ts";

const INTERRUPTED = 130;

/** What the options choose; throws UsageError for a row that there is not. */
function chosenBy({ rows }: Options): Chosen {
  const known = new Set([...faults, ...scenarios].map(({ row }) => row));
  const unknown = rows?.filter((row) => !known.has(row)) ?? [];
  if (unknown.length > 0) throw new UsageError(`--faults: no row ${unknown.join(", ")}`);
  const isChosen = ({ row }: { readonly row: number }): boolean => rows?.includes(row) ?? true;
  return { faults: faults.filter(isChosen), scenarios: scenarios.filter(isChosen) };
}

async function main(options: Options): Promise<number> {
  if (options.help || options.list) {
    console.log(options.help ? HELP : listing().join("\n"));
    return 0;
  }
  const chosen = chosenBy(options);
  const home = new Home();
  // Servers and workers are ended by their keepers, which hear of our end.
  const stop = (): void => process.exit(INTERRUPTED);
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const say = (line: string): void => (options.json ? console.error : console.log)(line);
  try {
    const { seed, minutes, rate: perSecond } = options;
    const result = await chaosRun(home, chosen, { seed, minutes, perSecond, say });
    tell(result, options, home);
    return result.ok ? 0 : 1;
  } finally {
    await home.close();
  }
}

/** The verdict is the last line. */
function tell(result: ChaosResult, { json, out, seed }: Options, home: Home): void {
  const say = (line: string): void => (json ? console.error : console.log)(line);
  const text = JSON.stringify(result, null, 2);
  if (out !== null) writeFileSync(out, `${text}\n`);
  if (json) console.log(text);
  if (!result.ok) {
    const folder = join(tmpdir(), `millrace-chaos-logs-${String(seed)}-${String(process.pid)}`);
    home.saveLogs(folder);
    say(`logs of every process: ${folder}`);
  }
  for (const line of linesOf(result)) say(line);
}

try {
  process.exitCode = await main(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\nSee: npm run chaos -- --help`);
  process.exitCode = 2;
}
