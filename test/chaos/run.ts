// A whole run: servers up, one long flow among the chosen faults, then the chosen scenarios, and what it all comes to.
import type { Fault } from "./faults/fault.ts";
import { Plan, runFlow } from "./flow.ts";
import { textOfError, type Part, type RunContext } from "./part.ts";
import type { ChaosResult } from "./result.ts";
import { play } from "./scenarios/play.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import type { Home } from "./world/home.ts";
import { startServers } from "./world/servers.ts";

export interface Chosen {
  readonly faults: readonly Fault[];
  readonly scenarios: readonly Scenario[];
}

export async function chaosRun(
  home: Home,
  { faults, scenarios }: Chosen,
  context: RunContext,
): Promise<ChaosResult> {
  const { seed, say } = context;
  const startedAt = new Date();
  const brokers = faults.some((fault) => fault.brokers === 3) ? 3 : 1;
  const rows = scenarios.map(({ row }) => String(row)).join(" ");
  say(`seed ${String(seed)}, brokers ${String(brokers)}, ${String(context.perSecond)} records/s`);
  say(`plan: ${Plan.text(faults, seed)}${rows === "" ? "" : `; scenarios: ${rows}`}`);
  const servers = await startServers(home, brokers);
  const parts: Part[] = [];
  const problems: string[] = [];
  const attempt = async (name: string, work: () => Promise<Part>): Promise<void> => {
    try {
      parts.push(await work());
    } catch (error) {
      problems.push(`${name}: ${textOfError(error)}`);
      say(problems.at(-1) ?? "");
    }
  };
  if (faults.length > 0) await attempt("the flow", () => runFlow(servers, faults, context));
  for (const scenario of scenarios)
    await attempt(`row ${String(scenario.row)}`, () => play(servers, scenario, context));
  return resultOf({ brokers, startedAt, parts, problems }, context);
}

interface Run {
  readonly brokers: number;
  readonly startedAt: Date;
  readonly parts: readonly Part[];
  readonly problems: readonly string[];
}

function resultOf(run: Run, { seed, minutes }: RunContext): ChaosResult {
  const { parts, startedAt } = run;
  const sum = (of: (part: Part) => number): number => parts.reduce((n, part) => n + of(part), 0);
  const most = (of: (part: Part) => number): number => Math.max(0, ...parts.map(of));
  const problems = [...run.problems, ...parts.flatMap((part) => part.problems)];
  return {
    version: 1,
    seed,
    minutes,
    brokers: run.brokers,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1_000),
    plan: parts.flatMap(({ order }) => order),
    rows: parts.flatMap(({ rows }) => rows).sort((a, b) => a.row - b.row),
    records: sum(({ exam }) => exam.records),
    letters: sum(({ exam }) => exam.letters),
    seenByReader: sum(({ exam }) => exam.seenByReader),
    due: sum(({ exam }) => exam.due),
    windows: sum(({ exam }) => exam.windows),
    pairs: sum(({ exam }) => exam.pairs),
    pauses: sum(({ exam }) => exam.pauses),
    late: sum(({ exam }) => exam.late),
    lost: sum(({ exam }) => exam.findings.lost),
    doubled: sum(({ exam }) => exam.findings.doubled),
    wrong: sum(({ exam }) => exam.findings.wrong),
    workersStarted: sum(({ workersStarted }) => workersStarted),
    rssBytesMax: most(({ rssBytesMax }) => rssBytesMax),
    filesMax: most(({ filesMax }) => filesMax),
    problems,
    ok: problems.length === 0,
  };
}
