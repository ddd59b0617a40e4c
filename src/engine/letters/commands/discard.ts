// Gives letters up, with a reason: they stay where they are, and no redrive takes them again. The operator is noted in
// the same transaction.
import type { Plan } from "../../core/plan.ts";
import { stateRecord } from "../../core/redrive.ts";
import type { FoundLetter } from "../found-letter.ts";
import { asOperator, auditRecord, BatchWriter, type Audit } from "./operator.ts";
import { readLetters, type LetterPorts, type Letters } from "../read-letters.ts";

export interface DiscardRequest {
  /** Among open letters: one on its way back must end first. */
  isChosen(letter: Omit<FoundLetter, "record">): boolean;
  readonly reason: string;
  readonly who: string;
  readonly command: string;
  readonly token: string;
}

export async function planDiscard(
  plan: Plan,
  isChosen: DiscardRequest["isChosen"],
  ports: LetterPorts,
): Promise<Pick<Letters, "letters" | "lineage">> {
  const { letters, lineage } = await readLetters(plan, ports);
  const isOne = (letter: FoundLetter): boolean => letter.state.state === "open" && isChosen(letter);
  return { letters: letters.filter(isOne), lineage };
}

/** Returns what was discarded. */
export function discard(
  plan: Plan,
  request: DiscardRequest,
  ports: LetterPorts,
): Promise<readonly FoundLetter[]> {
  return asOperator(plan, ports, async (producer, made) => {
    const { letters: chosen, lineage } = await planDiscard(plan, request.isChosen, made);
    const { reason, who, command, token } = request;
    const audit: Audit = { atMs: ports.clock.now(), who, command, letters: chosen.length, reason };
    const writing = new BatchWriter(producer);
    if (chosen.length > 0) await writing.add(auditRecord(plan, audit, token));
    for (const { id, redrives } of chosen) {
      const state = { state: "discarded", redrives, atMs: audit.atMs, reason } as const;
      const said = { id, generation: lineage.current };
      await writing.add(stateRecord(plan.letterStates, said, state));
    }
    await writing.end();
    return chosen;
  });
}
