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

/** An ISO time as epoch milliseconds; without a zone it is UTC. */
export function timeOption(name: string, text: string, others: string): number {
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/.test(text) || !text.includes(":");
  const value = Date.parse(hasZone ? text : `${text.replace(" ", "T")}Z`);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(value)) return value;
  throw wrongOption(name, `${others} or a time such as 2026-01-05T11:53:26Z`, text);
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

/** The exit code where nothing is to be done: shown by --dry-run, or --yes is missing; null where --yes is given. */
export function exitUnlessYes(
  io: CliIo,
  { dryRun, yes }: ChangeOptions,
  done: "changed" | "dropped" | "removed",
): number | null {
  if (dryRun === true) return exitCodes.ok;
  if (yes === true) return null;
  io.err(`Nothing was ${done}. Add --yes to do it.`);
  return exitCodes.usage;
}
