// `node bench/main.ts engine`: the engine beside Kafka Streams, in one run. `node bench/main.ts state`: figures of state by
// number of keys. `node bench/main.ts due`: the due index. `node bench/main.ts time`: windows. `node bench/main.ts park`: latency of other keys while calls for one fail. `node bench/main.ts reprocess`: a
// run beside the live pipeline. Each prints a table, or JSON.
import { parseArgs } from "node:util";
import { timeWorkloads, workloads, type Workload } from "./contestant.ts";
import { benchEngine, type EngineOptions } from "./engine.ts";
import { reportText } from "./report.ts";
import { benchPark, parkText } from "./park/park.ts";
import { benchReprocess } from "./reprocess/reprocess.ts";
import { reprocessText } from "./reprocess/report.ts";
import { benchDue } from "./due/due.ts";
import { dueText } from "./due/report.ts";
import { benchState } from "./state/state.ts";
import { stateText } from "./state/report.ts";
import { timeFigures, timeParts } from "./time/time.ts";

const USAGE = `Usage: node bench/main.ts engine [options]   the engine beside Kafka Streams
       node bench/main.ts state [options]    memory, takeover and rebuild by number of keys
       node bench/main.ts due [options]      the index of entries that are due: bytes, changes, reads
       node bench/main.ts time [options]     windows: hopping by size and advance, many open ones, markers, beside Kafka Streams
       node bench/main.ts park [options]     latency of other keys while calls for one key fail
       node bench/main.ts reprocess [options]  a run of the reprocessor beside the live pipeline

engine:
  --records <n>     records in the input (1000000)
  --rounds <n>      rounds, whose medians are shown (3)
  --only <side>     millrace or kafka-streams
  --workload <w>    map or sum
  --beside <dir>    another checkout of Millrace (with its node_modules) as a contestant, for before and after in one run
  --workers <n,…>   worker processes to run Millrace with (1,2)
  --no-profile      leave out where the time goes
reprocess: --records, --rounds, --workers, and
  --live-rate <n>   records a second that live reads while the run yields to it (2000)
  --lag-limit <ms>  of the live pipeline (10000)
state:
  --keys <n,…>      numbers of keys (10000,100000,1000000)
  --node-options=<text>  NODE_OPTIONS of the workers
due:
  --records <n>     entries (1000000)
time:
  --only <part>     hopping, open, markers or engine; left out: all
  --keys <n,…>      open: numbers of keys with 24 open windows each (10000,100000,1000000)
  --records, --rounds, --workers, --beside, --no-profile, and --workload tumbling, session or join: as for engine
park:
  --seconds <n>     of sending, for each way to retry (30)
  --rate <n>        records a second (500)
  --rounds <n>      rounds, of which the middle one by p99 is shown (3)

all:
  --json            print every figure as JSON
  --help            print this

Exit codes: 0 ok, 1 failure (also when an answer is wrong), 2 usage.`;

const ARGUMENTS = {
  allowPositionals: true,
  allowNegative: true,
  options: {
    records: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    workload: { type: "string" },
    beside: { type: "string" },
    workers: { type: "string", default: "1,2" },
    profile: { type: "boolean", default: true },
    "live-rate": { type: "string", default: "2000" },
    "lag-limit": { type: "string", default: "10000" },
    keys: { type: "string", default: "10000,100000,1000000" },
    seconds: { type: "string", default: "30" },
    rate: { type: "string", default: "500" },
    "node-options": { type: "string", default: "" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
} as const;

const { values, positionals } = parsed();

function parsed() {
  try {
    return parseArgs(ARGUMENTS);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}

function optionsOf(): EngineOptions | null {
  const { only, workload, profile, beside } = values;
  const [records, rounds] = [Number(values.records), Number(values.rounds)];
  const workers = values.workers.split(",").map(Number);
  const isCounted = [records, rounds, ...workers].every((n) => Number.isInteger(n) && n > 0);
  if (!isCounted || !isSide(only) || !isWorkload(workload)) return null;
  const chosen = workload === undefined ? undefined : [workload];
  return { records, rounds, only, workloads: chosen, workers, profile, beside };
}

const isSide = (text: string | undefined): text is EngineOptions["only"] =>
  text === undefined || text === "millrace" || text === "kafka-streams";
const isWorkload = (text: string | undefined): text is Workload | undefined =>
  text === undefined || workloads.includes(text as Workload);

const say = (line: string): void => console.error(line);

/** Null for arguments that make no sense. */
function work(): (() => Promise<string>) | null {
  const json = (figures: unknown): string => JSON.stringify(figures, null, 2);
  if (positionals.join(" ") === "state") {
    const keys = values.keys.split(",").map(Number);
    if (!keys.every((n) => Number.isInteger(n) && n > 0)) return null;
    return async () => {
      const figures = await benchState({ keys, nodeOptions: values["node-options"] }, say);
      return values.json ? json(figures) : stateText(figures);
    };
  }
  if (positionals.join(" ") === "park") {
    const [seconds, rate] = [Number(values.seconds), Number(values.rate)];
    const rounds = Number(values.rounds);
    if (![seconds, rate, rounds].every((n) => Number.isInteger(n) && n > 0)) return null;
    return async () => {
      const figures = await benchPark({ seconds, rate, rounds }, say);
      return values.json ? json(figures) : parkText(figures);
    };
  }
  if (positionals.join(" ") === "due") return dueWork(json);
  if (positionals.join(" ") === "time") return timeWork(json);
  if (positionals.join(" ") === "reprocess") return reprocessWork(json);
  const options = positionals.join(" ") === "engine" ? optionsOf() : null;
  if (options === null) return null;
  return async () => {
    const report = await benchEngine(options, say);
    return values.json ? json(report) : reportText(report);
  };
}

function dueWork(json: (figures: unknown) => string): (() => Promise<string>) | null {
  const entries = Number(values.records);
  if (!Number.isInteger(entries) || entries <= 0) return null;
  return async () => {
    const figures = await benchDue(entries, say);
    return values.json ? json(figures) : dueText(figures);
  };
}

function timeWork(json: (figures: unknown) => string): (() => Promise<string>) | null {
  const { only, workload, profile, beside } = values;
  const [keys, workers] = [values.keys, values.workers].map((text) => text.split(",").map(Number));
  const [records, rounds] = [Number(values.records), Number(values.rounds)];
  const chosen = timeWorkloads.filter((one) => workload === undefined || one === workload);
  const counts = [records, rounds, ...(keys ?? []), ...(workers ?? [])];
  const parts = timeParts.filter((one) => only === undefined || one === only);
  if (!counts.every((n) => Number.isInteger(n) && n > 0)) return null;
  if (chosen.length === 0 || parts.length === 0) return null;
  const engine = { records, rounds, workloads: chosen, workers: workers ?? [], profile, beside };
  return async () => {
    const { figures, text } = await timeFigures({ parts, keys: keys ?? [], engine }, say);
    return values.json ? json(figures) : text;
  };
}

function reprocessWork(json: (figures: unknown) => string): (() => Promise<string>) | null {
  const options = optionsOf();
  const [liveRate, lagLimitMs] = [Number(values["live-rate"]), Number(values["lag-limit"])];
  if (options === null || !(liveRate > 0) || !(lagLimitMs > 0)) return null;
  return async () => {
    const figures = await benchReprocess({ ...options, liveRate, lagLimitMs }, say);
    return values.json ? json(figures) : reprocessText(figures);
  };
}

const wanted = work();
if (values.help) console.log(USAGE);
else if (wanted === null) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  // What it has started ends when this process exits, which a signal alone would not bring about.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
  console.log(await wanted());
}
