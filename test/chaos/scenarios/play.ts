// Plays one scenario in a flow of its own, and examines what it has left behind.
import { partOf, textOfError, type Part, type RunContext } from "../part.ts";
import { examine } from "../workload/examination.ts";
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
  let outcome: Outcome = { planned: 1, fired: 0, note: "did not come to its end" };
  try {
    outcome = await scenario.run(world);
    await world.crew.whole();
  } catch (error) {
    problems.push(`${String(row)} ${name}: ${textOfError(error)}`);
    say(problems.join());
  }
  const { planned, fired, note, circumstances } = outcome;
  const exam = await examine(world, circumstances);
  if (planned !== fired)
    problems.push(`row ${String(row)} fired ${String(fired)} of ${String(planned)}: ${note}`);
  if (exam.due === 0) problems.push(`row ${String(row)}: no due entry fired`);
  const { lost, doubled, isClean } = exam.findings;
  const verdict = isClean && problems.length === 0 ? "figures exact" : "does not hold";
  say(`${String(row)} ${name}: fired ${String(fired)} of ${String(planned)} (${note}); ${verdict}`);
  const result = {
    row,
    name,
    injected: how,
    runs: 1,
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
