// `millrace dlq discard`: gives letters up, for a reason, after it was confirmed.
import { isChosen } from "../../engine/letters/filter.ts";
import { discard, planDiscard } from "../../engine/letters/commands/discard.ts";
import { exitCodes, type CliIo } from "../io.ts";
import type { ChangeOptions } from "../option-values.ts";
import { grouped } from "../progress.ts";
import type { VerbContext } from "../operating.ts";
import { choiceOf, filterOf, type FilterOptions } from "./letter-filter.ts";
import { newToken, whoAmI } from "./letter-view.ts";
import { printGroups } from "./list.ts";

export interface DiscardOptions extends FilterOptions, ChangeOptions {
  readonly reason: string;
  readonly parked?: boolean;
}

export async function discardLetters(at: VerbContext<DiscardOptions>): Promise<number> {
  const { io, plan, ports, options } = at;
  const filter = {
    ...filterOf(plan, options),
    parked: options.parked === true ? "only" : null,
  } as const;
  const byOptions = await choiceOf(at, filter);
  const isWanted: typeof byOptions = (one) => byOptions(one) && isChosen(one, filter);
  const { letters: planned } = await planDiscard(plan, isWanted, ports);
  printGroups(io, planned, options.json === true);
  if (planned.length === 0) {
    io.err("No open letter matches.");
    return exitCodes.ok;
  }
  if (options.dryRun === true) return exitCodes.ok;
  if (options.yes !== true && !(await isConfirmed(io, planned.length))) {
    io.err("Nothing was changed. Add --yes to do it.");
    return exitCodes.usage;
  }
  // Only letters that were shown are discarded, and only if they are still open.
  const ids = new Set(planned.map(({ id }) => id));
  const { reason } = options;
  const request = { reason, who: whoAmI(), command: "dlq discard", token: newToken() };
  const done = await discard(plan, { ...request, isChosen: ({ id }) => ids.has(id) }, ports);
  io.err(`${grouped(done.length)} letters discarded: ${reason}`);
  return exitCodes.ok;
}

async function isConfirmed(io: CliIo, letters: number): Promise<boolean> {
  if (!io.isTty || io.ask === undefined) return false;
  const answer = await io.ask(`Type the number of letters to discard them (${String(letters)}): `);
  return answer.trim() === String(letters);
}
