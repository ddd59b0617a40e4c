// The half of `millrace resume` that is about a pipeline as a whole: halted by dead letters, or shut by a command.
import type { Plan } from "../engine/core/plan.ts";
import { reopen, type Reopened } from "../engine/operate/gate/reopen.ts";
import type { TaskChoice } from "../engine/operate/choice.ts";
import { gateText, type GateNote } from "../engine/notes/gate-note.ts";
import { shareOption, usage } from "./option-values.ts";
import type { VerbContext } from "./operating.ts";

interface GateOptions {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly haltAbove?: string;
  readonly json?: boolean;
}

/** Says what shuts the gate and opens it. */
export async function resumeGate(
  { io, plan, ports, options }: VerbContext<GateOptions>,
  note: GateNote,
  choice: TaskChoice,
  waitMs: number,
): Promise<void> {
  const isWhole = Object.values(choice).every((of) => of === null);
  if (!isWhole)
    throw usage(
      `${plan.pipeline} is ${note.state} as a whole: leave out --part, --topic and --partition`,
    );
  const isJson = options.json === true;
  if (!isJson) io.out(gateText(plan, note));
  const share = shareOption("--halt-above", options.haltAbove);
  const how = { waitMs, force: options.force === true, haltAbove: share };
  const outcome = options.dryRun === true ? null : await reopen(plan, note, how, ports);
  if (isJson) io.out(gateJson(plan, note, outcome));
  else if (outcome !== null) io.out(outcomeLine(plan, outcome));
  if (share !== null && outcome !== null && !isJson)
    io.err(`more than ${String(options.haltAbove)} dead letters halt it again`);
}

const gateJson = (
  { pipeline }: Plan,
  { state, by, code, message, atMs, owner }: GateNote,
  outcome: Reopened | null,
): string => {
  const since = new Date(atMs).toISOString();
  return JSON.stringify({ pipeline, state, since, by, code, message, owner, outcome });
};

function outcomeLine({ pipeline }: Plan, outcome: Reopened): string {
  switch (outcome) {
    case "running":
      return `${pipeline} goes on`;
    case "asked":
      return `${pipeline}: opened`;
    case "no-worker":
      return `${pipeline}: opened; no worker has joined yet, the next start goes on`;
  }
}
