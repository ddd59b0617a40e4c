// The words with which `topics apply --yes` confirms changes that can lose data.
import {
  isLoss,
  losses,
  lossesOf,
  lossTexts,
  type LossWord,
} from "../../engine/provision/topic-settings.ts";
import type { TopicPlan } from "../../engine/provision/topics.ts";
import type { CliIo } from "../io.ts";
import { wrongOption } from "../option-values.ts";
import type { ProvisionOptions } from "../provision-verbs.ts";

export const APPLY_HELP = `
Makes what is missing and sets what is declared. A setting that is not declared is never changed, and a topic that is declared
\`external\` is only checked. With names of pipelines, a topic that another pipeline writes is only checked too.

A change that can lose data is refused until --yes has the word for it, several with commas between them:
${Object.entries(losses)
  .map(([word, text]) => `  ${word.padEnd(18)} ${text}`)
  .join("\n")}

Exit codes: 0 done · 2 usage, or the word for a loss is missing · 3 no such pipeline · 69 a server is away · 78 refused.

Examples:
  $ npx millrace topics apply shop --dry-run
  $ npx millrace topics apply shop --yes shorten-retention`;

export function wordsOf({ yes }: ProvisionOptions): readonly LossWord[] {
  const words = (yes ?? "").split(",").map((word) => word.trim());
  if (yes === undefined) return [];
  const unknown = words.find((word) => !isLoss(word));
  if (unknown === undefined) return words.filter(isLoss);
  throw wrongOption("--yes", `words of ${Object.keys(losses).join(", ")}`, unknown);
}

/** At a terminal somebody types the words that are missing. */
export async function confirmed(
  io: CliIo,
  yes: readonly LossWord[],
  plan: () => Promise<readonly TopicPlan[]>,
): Promise<readonly LossWord[]> {
  if (!io.isTty || io.ask === undefined) return yes;
  const plans = await plan();
  const words = lossesOf(plans).filter((word) => !yes.includes(word));
  if (words.length === 0 || plans.some(({ problems }) => problems.length > 0)) return yes;
  for (const one of plans) for (const text of lossTexts(one)) io.err(`${one.topic}: ${text}`);
  const answer = await io.ask(`Type ${words.join(",")} to do it: `);
  return answer.trim() === words.join(",") ? [...yes, ...words] : yes;
}
