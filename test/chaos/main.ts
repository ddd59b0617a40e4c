// npm run chaos: reads its options, runs what they choose, prints the plan, what happened and the verdict.
import { writeFileSync } from "node:fs";
import { faults } from "./catalogue.ts";
import { HELP, readOptions, UsageError, type Options } from "./options.ts";
import { linesOf } from "./result.ts";
import { chaosRun } from "./run.ts";
import { Home } from "./world/home.ts";

async function main(options: Options): Promise<number> {
  if (options.help) return (void console.log(HELP), 0);
  const chosen = faults.filter(({ row }) => options.rows?.includes(row) ?? true);
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
    const result = await chaosRun({ seed, minutes, faults: chosen, perSecond, say, home });
    const text = JSON.stringify(result, null, 2);
    if (options.out !== null) writeFileSync(options.out, `${text}\n`);
    if (options.json) console.log(text);
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
