// Plays one scenario in a flow of its own, and examines what it has left behind.
import { partOf, textOfError, type Part, type RunContext } from "../part.ts";
import { examine, unexamined, type Examination } from "../workload/examination.ts";
import type { Servers } from "../world/servers.ts";
import { World } from "../world/world.ts";
import type { Outcome, Scenario } from "./scenario.ts";

export async function play(
  servers: Servers,
  scenario: Scenario,
  { say, perSecond }: RunContext,
): Promise<Part> {
  const { row, name, how, hasRefused = true } = scenario;
  const world = await World.open(servers, { perSecond, hasRefused });
  const problems: string[] = [];
  let outcome: Outcome | null = null;
  try {
    outcome = await scenario.run(world);
    await world.crew.whole();
  } catch (error) {
    outcome = null;
    problems.push(`row ${String(row)} given up: ${name}: ${textOfError(error)}`);
    say(problems.join());
  }
  // A flow in which the cure of its fault was never run has no figures to judge.
  const exam =
    outcome === null ? await unexamined(world) : await examine(world, outcome.circumstances);
  const { planned, fired, note } = outcome ?? GIVEN_UP;
  if (outcome !== null) problems.push(...problemsOf(scenario, outcome, exam));
  const { lost, doubled, isClean } = exam.findings;
  const judged = isClean && problems.length === 0 ? "figures exact" : "does not hold";
  const verdict = outcome === null ? "nothing was judged" : judged;
  say(`${String(row)} ${name}: fired ${String(fired)} of ${String(planned)} (${note}); ${verdict}`);
  const result = {
    row,
    name,
    injected: how,
    runs: 1,
    givenUp: outcome === null,
    planned,
    fired,
    due: exam.due,
    lost,
    doubled,
    firstCommit: null,
    caughtUp: null,
    notes: [note],
  };
  const part = partOf(world, exam, { rows: [result], order: [row], problems });
  await world.close();
  return part;
}

const GIVEN_UP: Outcome = { planned: 1, fired: 0, note: "given up" };

function problemsOf(
  { row }: Scenario,
  { planned, fired, note }: Outcome,
  { due }: Examination,
): string[] {
  return [
    ...(planned === fired
      ? []
      : [`row ${String(row)} fired ${String(fired)} of ${String(planned)}: ${note}`]),
    ...(due > 0 ? [] : [`row ${String(row)}: no due entry fired`]),
  ];
}
