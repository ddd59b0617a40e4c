// A look at personal data is noted, in the states topic of each pipeline that it concerns, before anything is shown.
import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { makeStates } from "../engine/core/late-topics.ts";
import type { Plan } from "../engine/core/plan.ts";
import { sendOnce } from "../engine/core/send-once.ts";
import { auditRecord } from "../engine/letters/commands/operator.ts";
import type { LetterPorts } from "../engine/letters/read-letters.ts";
import type { CliIo } from "./io.ts";

/** A use of --personal, or of another option that shows what is masked without it. */
export interface Look {
  readonly io: CliIo;
  readonly plan: Plan;
  readonly ports: LetterPorts;
}

export function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A user without a name, as in containers.
    return `${String(process.getuid?.() ?? "unknown")}@${hostname()}`;
  }
}

export const newToken = (): string => randomUUID().slice(0, 8);

/** `command` never has a key; `of` says in words what is looked at, and `letters` how many, where they are letters. */
export async function auditPersonal(
  { io, plan, ports }: Look,
  command: string,
  of: string | number,
): Promise<void> {
  const who = whoAmI();
  const letters = typeof of === "number" ? of : 0;
  const audit = { atMs: ports.clock.now(), who, command, letters };
  await makeStates(plan, ports);
  await sendOnce(ports.kafka, [auditRecord(plan, audit, newToken())]);
  const what = typeof of === "number" ? `${String(of)} letters` : of;
  io.err(`Noted in ${plan.letterStates}: ${who} looks at personal data of ${what}.`);
}
