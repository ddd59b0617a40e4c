// Internal topics of a pipeline that its plan no longer has: what a renamed or removed operator, table or store has left, and
// the topic in which 0.1.0 put parked letters. Found by their names; nothing is changed here.
import type { Plan } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";

export type OrphanKind = "repartition" | "changelog" | "sink" | "parked letters";

export interface Orphan {
  readonly topic: TopicName;
  readonly kind: OrphanKind;
  /** The plan that no longer has it. */
  readonly plan: Plan;
  /** The operator, table or store that it belonged to. */
  readonly name: string;
}

const INTERNAL = /^(.+)-(repartition|changelog|sink)$/;
/** A topic of a reprocess run: `reprocess drop` removes it, and a promoted run's are in use. */
const OF_A_RUN = /(^|-)r\d+-/;
const PARKED = "parked";

/**
 * `plans` are all of the repository, as declared and as they run, of which only those of `wanted` are looked at; `there` are
 * the topics of the cluster.
 */
export function orphansOf(
  wanted: readonly Plan[],
  plans: readonly Plan[],
  there: readonly TopicName[],
): readonly Orphan[] {
  const used = new Set(
    plans.flatMap(({ topics }) => [...topics.all.map(({ name }) => name), ...topics.own]),
  );
  const prefixes = prefixesOf(plans, there);
  return wanted.flatMap((plan) => {
    const prefix = `${plan.namespace}${plan.pipeline}`;
    return there
      .filter((topic) => !used.has(topic) && ownerOf(topic, prefixes) === prefix)
      .flatMap((topic) => orphanOf(topic, topic.slice(prefix.length + 1), plan));
  });
}

function orphanOf(topic: TopicName, rest: string, plan: Plan): Orphan[] {
  if (rest === PARKED) return [{ topic, kind: "parked letters", plan, name: PARKED }];
  const found = INTERNAL.exec(rest);
  if (found === null || OF_A_RUN.test(rest)) return [];
  const [, name = "", kind] = found;
  return [{ topic, kind: kind as OrphanKind, plan, name }];
}

/** Pipelines that are declared here, and those that have notes in the cluster: they may be another repository's. */
function prefixesOf(plans: readonly Plan[], there: readonly TopicName[]): readonly string[] {
  const declared = plans.map(({ namespace, pipeline }) => `${namespace}${pipeline}`);
  const noted = there.flatMap((topic) => (topic.endsWith("-meta") ? [topic.slice(0, -5)] : []));
  return [...new Set([...declared, ...noted])].sort((a, b) => b.length - a.length);
}

/** The longest name fits: a topic of `a-b` is none of `a`. */
const ownerOf = (topic: TopicName, prefixes: readonly string[]): string | undefined =>
  prefixes.find((prefix) => topic.startsWith(`${prefix}-`));
