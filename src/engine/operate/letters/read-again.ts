// Letters whose records are read once more where they lie, since progress was put back behind them: they are over, as a
// redrive would bring each a second time. What fails again then is a letter anew, whatever was said of the old one.
import type { Plan } from "../../core/plan.ts";
import type { TopicPartition } from "../../core/record.ts";
import { stateRecord, type LetterState } from "../../core/redrive.ts";
import type { OperatePorts } from "../choice.ts";
import type { FoundLetter } from "./letter.ts";
import { asOperator, writeAll } from "./operator.ts";
import { readLetters } from "./read-letters.ts";

/** What a part reads again, to the end. */
export interface Stretch extends TopicPartition {
  readonly part: string;
  readonly from: bigint;
  /** It holds other records than when the letters were written, which are all that is left of theirs: open ones stay. */
  readonly isOther?: boolean;
}

/** But for those on their way back: they come as what they are. */
export async function lettersWithin(
  plan: Plan,
  stretches: readonly Stretch[],
  ports: OperatePorts,
): Promise<readonly FoundLetter[]> {
  if (stretches.length === 0) return [];
  const within = new Map(stretches.map((stretch) => [placeKey(stretch), stretch]));
  const { letters } = await readLetters(plan, ports);
  return letters.filter(({ part, origin, state }) => {
    const stretch = within.get(placeKey({ ...origin, part }));
    if (stretch === undefined || origin.offset < stretch.from) return false;
    return state.state !== "redriven" && !(stretch.isOther === true && isOpen(state));
  });
}

const placeKey = ({ part, topic, partition }: TopicPartition & { part: string }): string =>
  `${part}/${topic}/${String(partition)}`;

const BATCH = 1_000;

/** Returns how many were open. Nobody of the pipeline is at work. May be done twice. */
export function readAgain(
  plan: Plan,
  { stretches, reason }: { readonly stretches: readonly Stretch[]; readonly reason: string },
  ports: OperatePorts,
): Promise<number> {
  if (stretches.length === 0) return Promise.resolve(0);
  return asOperator(plan, ports, async (producer) => {
    const marks = await ports.admin.watermarks(plan.deadLetters);
    const ends = new Map(marks.map(({ partition, high }) => [partition, String(high)]));
    const letters = await lettersWithin(plan, stretches, ports);
    const atMs = ports.clock.now();
    const records = letters.map(({ id, redrives, state, origin }) => {
      // The partition of a letter is that of its record, as far as there are as many.
      const before = ends.get(origin.partition % marks.length) ?? "0";
      const over: LetterState = { state: "discarded", redrives, reason, passed: true, atMs };
      return stateRecord(plan.letterStates, id, { ...(isOpen(state) ? over : state), before });
    });
    for (let at = 0; at < records.length; at += BATCH)
      await writeAll(producer, records.slice(at, at + BATCH));
    return letters.filter(({ state }) => isOpen(state)).length;
  });
}

const isOpen = ({ state }: LetterState): boolean => state === "open";
