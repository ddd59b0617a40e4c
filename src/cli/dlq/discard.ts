// `millrace dlq discard`: gives letters up, for a reason, after it was confirmed.
import { isChosen } from "../../engine/letters/filter.ts";
import { discard, planDiscard } from "../../engine/letters/commands/discard.ts";
import { exitCodes } from "../io.ts";
import { exitUnlessYes, type ChangeOptions } from "../option-values.ts";
import { grouped } from "../progress.ts";
import type { VerbContext } from "../operating.ts";
import { choiceOf, filterOf, type FilterOptions } from "./letter-filter.ts";
import { newToken, whoAmI } from "../personal.ts";
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
  const refusal = await exitUnlessYes(io, options, "changed");
  if (refusal !== null) return refusal;
  // Only letters that were shown are discarded, and only if they are still open.
  const ids = new Set(planned.map(({ id }) => id));
  const { reason } = options;
  const request = { reason, who: whoAmI(), command: "dlq discard", token: newToken() };
  const done = await discard(plan, { ...request, isChosen: ({ id }) => ids.has(id) }, ports);
  io.err(`${grouped(done.length)} letters discarded: ${reason}`);
  return exitCodes.ok;
}
