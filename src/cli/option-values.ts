// Option texts to values, with one sentence on what was expected. Used by commander as argument parsers.
import { MillraceError } from "../engine/core/errors.ts";
import type { TaskChoice } from "../engine/operate/choice.ts";
import { exitCodes, type CliIo } from "./io.ts";

export const usage = (detail: string): MillraceError => new MillraceError("MILL_USAGE", detail);

export const wrongOption = (name: string, expected: string, received: string): MillraceError =>
  usage(`${name}: expected ${expected}, received "${received}"`);

/** A whole number of at least `min`, or the fallback when the option was not given. */
export function wholeOption<F>(
  name: string,
  text: string | undefined,
  how: { readonly min: number; readonly fallback: F },
): number | F {
  if (text === undefined) return how.fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= how.min) return value;
  throw wrongOption(name, `a whole number of at least ${String(how.min)}`, text);
}

/** A day, an ISO time (UTC where it has no zone) or epoch milliseconds, for every option that takes a time. */
export function timeOption(name: string, text: string, others: string): number {
  if (/^\d{10,15}$/.test(text)) return Number(text);
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/.test(text) || !text.includes(":");
  const value = Date.parse(hasZone ? text : `${text.replace(" ", "T")}Z`);
  if (isDay(text.slice(0, 10)) && !Number.isNaN(value)) return value;
  const form =
    "a day such as 2026-01-05, a time such as 2026-01-05T11:53:26Z or epoch milliseconds";
  throw wrongOption(name, others === "" ? form : `${others}, ${form}`, text);
}

/** Date takes 30 February for 2 March. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** A share such as 20%; null when the option was not given. */
export function shareOption(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, amount = ""] = /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(text) ?? [];
  if (amount !== "" && Number(amount) <= 100) return Number(amount) / 100;
  throw wrongOption(name, "a share such as 20%", text);
}

export interface ChoiceOptions {
  readonly part?: string;
  readonly topic?: string;
  readonly partition?: string;
}

export const choiceOf = ({ part, topic, partition }: ChoiceOptions): TaskChoice => ({
  part: part ?? null,
  topic: topic ?? null,
  partition: wholeOption("--partition", partition, { min: 0, fallback: null }),
});

/** The options of a verb that changes something. */
export interface ChangeOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Whether it may come to a change: it is confirmed, or somebody can be asked. Who only looks need not wait for anything. */
export const mayDo = ({ isTty }: CliIo, { dryRun, yes }: ChangeOptions): boolean =>
  dryRun !== true && (yes === true || isTty);

/**
 * The exit code where nothing is to be done: shown by --dry-run, or not confirmed; null where it is to be done. `--yes` does it
 * without asking; at a terminal somebody is asked, elsewhere the option is needed.
 */
export async function exitUnlessYes(
  io: CliIo,
  { dryRun, yes }: ChangeOptions,
  done: "changed" | "dropped" | "removed",
): Promise<number | null> {
  if (dryRun === true) return exitCodes.ok;
  if (yes === true) return null;
  if (io.isTty && io.ask !== undefined) {
    const answer = await io.ask("Type yes to do it: ");
    if (answer.trim().toLowerCase() === "yes") return null;
  }
  io.err(`Nothing was ${done}. Add --yes to do it.`);
  return exitCodes.usage;
}
