// `millrace topics prune`: removes internal topics that the plan of their pipeline no longer has.
import type { Command } from "commander";
import { planNamed, type OperatePorts } from "../../engine/operate/choice.ts";
import { orphansOf, type Orphan } from "../../engine/operate/orphans/orphans.ts";
import {
  isRemovable,
  planPrune,
  planPruneWhenIdle,
  prune,
  type PruneStep,
} from "../../engine/operate/orphans/prune.ts";
import { exitCodes, type CliIo, type RunCommand } from "../io.ts";
import { asPatient, operating, refuseBeside, type WaitOptions } from "../operating.ts";
import { exitUnlessYes, mayDo, type ChangeOptions } from "../option-values.ts";
import { tableLines } from "../table-lines.ts";
import { onePerPipeline, type ConnectTopics } from "./connection.ts";

const HELP = `
Repartition, changelog and sink topics of operators, stores and tables that are gone or have another name, and the topic in
which 0.1.0 put parked letters. Copies of state and notes that belong to them go too. Topics of other pipelines, of
reprocess runs and those that a pipeline reads or writes for others are never touched, nor is anything that a member of a
group reads; a worker that was killed is one until its session ends, so the pipeline's own groups are waited for, for
MILLRACE_SESSION_TIMEOUT_MS and 5 s. --force removes also what has records that nobody has read, queued keys or letters, and what no note of the
pipeline says was its own: look at these topics first.

Exit codes: 0 removed, or shown by --dry-run, or there is none · 1 some were left · 2 usage, or --yes is missing · 3 no such
pipeline · 5 workers of another release are at work · 69 a server is away.

Examples:
  $ npx millrace topics prune --dry-run
  $ npx millrace topics prune shop --yes`;

interface PruneOptions extends ChangeOptions, WaitOptions {
  readonly force?: boolean;
}

export function addPrune(group: Command, run: RunCommand, connect: ConnectTopics): void {
  group
    .command("prune")
    .argument("[pipeline]", "default: all")
    .option("--dry-run", "show what would go; changes nothing")
    .option("--no-wait", "keep at once what a member of the pipeline's groups reads")
    .option("--yes", "do it without asking")
    .option("--force", "also topics with records that nobody has read, or that no note knows")
    .option("--json", "print one JSON object a topic")
    .description("remove internal topics that no plan has any more")
    .addHelpText("after", HELP)
    .action((name: string | undefined, options: PruneOptions) =>
      run((io) => pruneTopics(io, connect, name, options)),
    );
}

const pruneTopics = (
  io: CliIo,
  connect: ConnectTopics,
  name: string | undefined,
  options: PruneOptions,
): Promise<number> =>
  operating(connect, io, async (ports, connection) => {
    const all = await connection.allPlans();
    const plans = onePerPipeline(all);
    const wanted = name === undefined ? plans : [planNamed(plans, name)];
    const orphans = orphansOf(wanted, all, await ports.admin.listTopics());
    const steps = await stepsOf(io, orphans, asPatient(ports, options), options);
    const { force = false } = options;
    for (const line of options.json === true ? jsonLines(steps, force) : textLines(steps, force))
      io.out(line);
    if (steps.length === 0) io.err("No plan has lost a topic.");
    const goes = steps.filter((step) => isRemovable(step, force));
    if (goes.length > 0) {
      const refusal = await exitUnlessYes(io, options, "removed");
      if (refusal !== null) return refusal;
      await refuseBeside(wanted, ports, options);
      await prune(goes, ports);
      io.err(`${String(goes.length)} of ${String(steps.length)} topics removed.`);
    }
    const isLeft = goes.length < steps.length && options.dryRun !== true;
    return isLeft ? exitCodes.failure : exitCodes.ok;
  });

const stepsOf = (
  io: CliIo,
  orphans: readonly Orphan[],
  ports: OperatePorts,
  options: PruneOptions,
): Promise<readonly PruneStep[]> =>
  (mayDo(io, options) ? planPruneWhenIdle : planPrune)(orphans, ports);

const whysOf = ({ readers, doubts }: PruneStep, force: boolean): readonly string[] => [
  ...readers.map((group) => `group ${group} reads it`),
  ...doubts.map((doubt) => (force ? `forced: ${doubt}` : `${doubt} (--force removes it)`)),
];

const jsonLines = (steps: readonly PruneStep[], force: boolean): readonly string[] =>
  steps.map((step) => {
    const { topic, kind, plan, partitions, records, readers, doubts } = step;
    const removable = isRemovable(step, force);
    const own = { topic, pipeline: plan.pipeline, kind, partitions, records };
    return JSON.stringify({ ...own, removable, readers, doubts });
  });

function textLines(steps: readonly PruneStep[], force: boolean): readonly string[] {
  if (steps.length === 0) return [];
  const rows = steps.map((step) => {
    const { topic, kind, plan, partitions, records } = step;
    const verdict = isRemovable(step, force) ? "remove" : "keep";
    return [topic, plan.pipeline, kind, String(partitions), String(records), verdict];
  });
  const header = ["TOPIC", "PIPELINE", "KIND", "PARTITIONS", "OFFSETS", "VERDICT"];
  const whys = steps.flatMap((step) => whysOf(step, force).map((why) => `${step.topic}: ${why}`));
  return [...tableLines([header, ...rows]), ...whys];
}
