// What the command understands.
import { parseArgs } from "node:util";

export const HELP = `Chaos on real processes: workers of the engine over servers of their own, among faults.

  npm run chaos -- [options]

  --faults 1,3,11|all   rows of the fault matrix; default: all that are mixed into one flow. Scenarios (--list) stop
                        something on purpose and run one by one behind it
  --minutes M           go round the chosen faults for so long; each comes at least once (default 0: one round)
  --seed N              order and chance of everything; default: by the clock. It is printed
  --rate N              records a second (default 300)
  --json                the result as JSON on stdout, words on stderr
  --out FILE            the result as JSON into a file
  --list                every row: its number, its name, what it needs, or why it cannot run here
  --help

Exit codes: 0 nothing lost, doubled or wrong, and every planned fault has fired · 1 it does not hold · 2 usage.
SIGINT or SIGTERM stops what was started, by its process ids. MILLRACE_CACHE names the folder of the servers' programs.`;

export class UsageError extends Error {}

export interface Options {
  readonly help: boolean;
  readonly list: boolean;
  readonly json: boolean;
  readonly out: string | null;
  readonly seed: number;
  readonly minutes: number;
  readonly rate: number;
  /** Null is all. */
  readonly rows: readonly number[] | null;
}

export function readOptions(args: readonly string[]): Options {
  const { values } = parsed(args);
  const faults = values.faults ?? "all";
  return {
    help: values.help === true,
    list: values.list === true,
    json: values.json === true,
    out: values.out ?? null,
    seed: numberOf("seed", values.seed ?? String(Date.now() % 1_000_000)),
    minutes: numberOf("minutes", values.minutes ?? "0"),
    rate: numberOf("rate", values.rate ?? "300"),
    rows: faults === "all" ? null : faults.split(",").map((text) => numberOf("faults", text)),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean" },
        list: { type: "boolean" },
        json: { type: "boolean" },
        out: { type: "string" },
        seed: { type: "string" },
        minutes: { type: "string" },
        rate: { type: "string" },
        faults: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function numberOf(name: string, text: string): number {
  const n = Number(text);
  if (text.trim() !== "" && Number.isFinite(n) && n >= 0) return n;
  throw new UsageError(`--${name}: expected a number, received "${text}"`);
}
