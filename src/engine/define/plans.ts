// plansOf(): the plans of all pipelines that belong together, with every problem of all of them at once.
import { ConfigError, ConfigErrors, type MillraceError } from "../core/errors.ts";
import type { Plan } from "../core/plan.ts";
import type { PlanSettings } from "../core/plan-settings.ts";
import type { Pipeline } from "./pipeline.ts";

/** Throws ConfigErrors. Names are checked among `all`, of which only `wanted` are built. */
export function plansOf(
  all: readonly Pipeline[],
  { namespace, topicPartitions }: PlanSettings,
  wanted: readonly Pipeline[] = all,
): Plan[] {
  const problems: MillraceError[] = duplicates(all);
  const plans: Plan[] = [];
  for (const pipeline of wanted)
    try {
      plans.push(pipeline.plan(namespace, topicPartitions));
    } catch (error) {
      if (!(error instanceof ConfigErrors)) throw error;
      problems.push(...error.problems);
    }
  if (problems.length > 0) throw new ConfigErrors(problems);
  return plans;
}

/** Two pipelines of one name would be members of the same groups. */
function duplicates(pipelines: readonly Pipeline[]): MillraceError[] {
  const names = pipelines.map(({ name }) => name);
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...repeated].map(
    (name) => new ConfigError("MILL_BUILD_NAME_TAKEN", `pipeline "${name}" is declared twice`),
  );
}
