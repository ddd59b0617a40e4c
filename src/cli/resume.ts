// `millrace resume`: what has stopped of a pipeline, as a whole or task by task, and a request to running workers to go on.
import { gateNote } from "../engine/notes/gate-note.ts";
import { readNotes } from "../engine/notes/notes.ts";
import { FOREIGN } from "../engine/core/carried.ts";
import { acceptShapes } from "../engine/operate/resume/accept-shapes.ts";
import type { ShapeNote } from "../engine/notes/shape-notes.ts";
import { resume, type Resumed } from "../engine/operate/resume/resume.ts";
import { stoppedTasks, type StoppedTask } from "../engine/operate/resume/stopped-tasks.ts";
import { addressOf } from "../engine/core/record.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type Register } from "./io.ts";
import { onPipeline, type ConnectOperate, writing, type VerbContext } from "./operating.ts";
import { choiceOf, type ChoiceOptions } from "./option-values.ts";
import { resumeGate } from "./resume-gate.ts";
import { tableLines } from "./table-lines.ts";

const WAIT_MS = 15_000;

const HELP = `
A task that stops is noted by its worker with the reason. When what was wrong is mended, resume has the worker take the
task over anew, as after a rebalance: everything is checked again, and what is still wrong stops it again. Other tasks go
on meanwhile. Each start and each rebalance looks again as well.

A pipeline that too many dead letters have halted stands still as a whole, in every worker and after a restart. Resume
lets it go on; the breaker begins to count anew. --halt-above 20% allows that share, in every worker, until the pipeline is
halted and resumed again.

Values between two parts that other code has made are not read before it is known that this code fits them: tasks wait
in front of them (/ready names the topic). --accept-shapes lets the code as it is deployed here read them.

It waits up to 15 s and says what became of each task.

Exit codes: 0 all run, nothing has stopped, no worker runs (the next start looks again), or shown by --dry-run or asked
by --no-wait · 1 some have stopped again, or gave no answer in time · 2 usage · 3 no such pipeline, part, topic or
partition · 5 another command holds the pipeline (--force takes it from it) · 69 a server is away.

Examples:
  $ npx millrace resume retail --dry-run
  $ npx millrace resume retail
  $ npx millrace resume retail --halt-above 20%
  $ npx millrace resume retail --part fact_orders --partition 3`;

interface ResumeOptions extends ChoiceOptions {
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly force?: boolean;
  readonly haltAbove?: string;
  readonly acceptShapes?: boolean;
  readonly json?: boolean;
}

export const resumeVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("resume")
      .argument("<pipeline>")
      .option("--part <part>", "only this part")
      .option("--topic <topic>", "only tasks that read this topic")
      .option("--partition <n>", "only this partition")
      .option("--dry-run", "show what has stopped; changes nothing")
      .option("--no-wait", "ask, and do not wait for what becomes of it")
      .option("--force", "open a pipeline although another command holds it")
      .option(
        "--halt-above <share>",
        "halt again only above this share of dead letters, such as 20%",
      )
      .option(
        "--accept-shapes",
        "let the code as it is now read values between parts that other code has made",
      )
      .option(
        "--json",
        "print one JSON object a stopped task, and one for a pipeline that stands still as a whole",
      )
      .description("let a halted pipeline go on; look again at tasks that have stopped")
      .addHelpText("after", HELP)
      .action((name: string, options: ResumeOptions) =>
        onPipeline(connect, plans, run)(name, options, writing(resumeTasks)),
      );
  };

const waitOf = ({ wait }: ResumeOptions): number => (wait ? WAIT_MS : 0);

type Resuming = VerbContext<ResumeOptions>;

async function resumeTasks(at: Resuming): Promise<number> {
  const { io, plan, ports, options } = at;
  if (options.acceptShapes === true) await accept(at);
  const notes = await readNotes(ports, plan.meta);
  const choice = choiceOf(options);
  const tasks = stoppedTasks(plan, notes, choice);
  const gate = gateNote(notes);
  if (gate !== null) await resumeGate(at, gate, choice, waitOf(options));
  if (tasks.length === 0) {
    if (gate === null) io.err("Nothing has stopped.");
    return exitCodes.ok;
  }
  const isJson = options.json === true;
  if (!isJson) for (const line of stoppedLines(tasks)) io.out(line);
  if (options.dryRun !== true) return lookAgain(at, tasks);
  if (isJson) for (const task of tasks) io.out(JSON.stringify(factsOf(task)));
  return exitCodes.ok;
}

async function accept({ io, plan, ports, options }: Resuming): Promise<void> {
  const accepted = await acceptShapes(plan, ports, options.dryRun === true);
  if (options.json === true)
    for (const { topic, id, code } of accepted) io.out(JSON.stringify({ topic, shape: id, code }));
  else if (accepted.length === 0) io.err("Every value between parts may be read as it is.");
  else
    for (const [topic, notes] of Map.groupBy(accepted, (note) => note.topic))
      for (const line of acceptedLines(notes)) io.out(`${topic}: ${line}`);
}

function acceptedLines(notes: readonly ShapeNote[]): string[] {
  const read = notes.filter(({ id }) => id !== FOREIGN);
  return [
    ...(read.length > 0 ? [`${String(read.length)} structures of other code may be read`] : []),
    ...(read.length < notes.length
      ? ["what came from a topic that is none of its sources becomes a dead letter"]
      : []),
  ];
}

async function lookAgain(
  { io, plan, ports, options }: Resuming,
  tasks: readonly StoppedTask[],
): Promise<number> {
  const resumed = await resume(plan, tasks, { ports, waitMs: waitOf(options) });
  const textOf = options.json === true ? resumedJson : resumedLine;
  for (const each of resumed) io.out(textOf(each));
  const isDone = resumed.every(({ outcome }) => outcome !== "stopped" && outcome !== "unanswered");
  return isDone ? exitCodes.ok : exitCodes.failure;
}

const factsOf = ({ part, topic, partition, code, message, atMs, owner }: StoppedTask) => ({
  part,
  topic,
  partition,
  since: new Date(atMs).toISOString(),
  code,
  message,
  owner,
});

function stoppedLines(tasks: readonly StoppedTask[]): readonly string[] {
  const header = ["PART", "TOPIC", "PARTITION", "STOPPED SINCE", "CODE", "REASON"];
  const rows = tasks.map((task) => {
    const { part, topic, partition, since, code, message } = factsOf(task);
    return [part, topic, String(partition), since, code, message];
  });
  return tableLines([header, ...rows]);
}

const resumedJson = ({ task, outcome, again }: Resumed): string => {
  const now = again === null ? null : { code: again.code, message: again.message };
  return JSON.stringify({ ...factsOf(task), outcome, again: now });
};

function resumedLine({ task, outcome, again }: Resumed): string {
  const at = `${task.part} ${addressOf(task)}`;
  switch (outcome) {
    case "running":
      return `${at} runs again`;
    case "stopped":
      return `${at} has stopped again: ${again?.code ?? ""} ${again?.message ?? ""}`;
    case "asked":
      return `${at}: asked`;
    case "unanswered":
      return `${at}: no answer within ${String(WAIT_MS / 1000)} s; /ready of its worker says what it does`;
    case "no-worker":
      return `${at}: no worker runs; the next start looks again anyway`;
  }
}
