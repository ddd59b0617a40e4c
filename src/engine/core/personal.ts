// Personal data of a pipeline, by its declarations alone: nothing that a record brings says what is shown of it. Pure.
import type { Plan, PlanTopic } from "./plan.ts";
import type { TableSpec } from "./table-layout.ts";

/** The path of a value that is personal data as a whole. */
export const WHOLE = "*";

/** Keys are personal where fields are, unless the topic says otherwise: a tombstone has nothing but its key. */
export const hasPersonalKey = ({ personalKey, personalData }: PlanTopic): boolean =>
  personalKey ?? personalData.length > 0;

/** Whether any topic or table of the pipeline is declared to have personal data: then all that lies between may. */
export const isPersonal = ({ topics, tables }: Plan): boolean =>
  topics.all.some((topic) => topic.personalData.length > 0 || hasPersonalKey(topic)) ||
  tables.some(({ declaration }) => (declaration as TableSpec).personalData.length > 0);

/** The paths of every topic of these pipelines. */
export const personalPaths = (plans: readonly Plan[]): readonly string[] => [
  ...new Set(plans.flatMap(({ topics }) => topics.all.flatMap((topic) => topic.personalData))),
];

/** How much of a topic's records is shown. */
export type Sight =
  | { readonly kind: "open" }
  | { readonly kind: "fields"; readonly paths: readonly string[]; readonly isKeyHidden: boolean }
  /** Nothing but place and time: it is not known where personal data is in them. */
  | { readonly kind: "hidden" };

export interface TopicSight {
  readonly sight: Sight;
  /** The pipelines whose topic it is. */
  readonly plans: readonly Plan[];
}

/** The sight of a topic of that name, declared or not. */
export function sightOf(name: string, plans: readonly Plan[]): TopicSight {
  const outer = declaring(name, plans);
  if (outer.length > 0) return { sight: sightOfOuter(name, outer), plans: outer };
  const copied = declaring(name.replace(RUN_OF_TOPIC, ""), plans);
  const among = copied.length > 0 ? copied : ownersOf(name, plans);
  const isNote = among.some(({ meta, letterStates }) => name === meta || name === letterStates);
  const isHidden = !isNote && among.some(isPersonal);
  return { sight: { kind: isHidden ? "hidden" : "open" }, plans: among };
}

/** The topics that a run of the reprocessor writes in the place of others, and its copies of those that it reads. */
const RUN_OF_TOPIC = /-r\d+(-input)?$/;

const outerTopic = ({ topics }: Plan, name: string): PlanTopic | undefined =>
  topics.all.find((topic) => topic.name === name && topic.internal === null);

const declaring = (name: string, plans: readonly Plan[]): readonly Plan[] =>
  plans.filter((plan) => outerTopic(plan, name) !== undefined);

function sightOfOuter(name: string, plans: readonly Plan[]): Sight {
  const topics = plans.flatMap((plan) => outerTopic(plan, name) ?? []);
  const paths = [...new Set(topics.flatMap(({ personalData }) => personalData))];
  const isKeyHidden = topics.some(hasPersonalKey);
  return paths.length === 0 && !isKeyHidden
    ? { kind: "open" }
    : { kind: "fields", paths, isKeyHidden };
}

/** A topic whose name begins with a pipeline's is the pipeline's own: changelogs, letters, topics of its runs. The longest name counts. */
function ownersOf(name: string, plans: readonly Plan[]): readonly Plan[] {
  const prefixOf = ({ namespace, pipeline }: Plan): string => `${namespace}${pipeline}-`;
  const owners = plans.filter((plan) => name.startsWith(prefixOf(plan)));
  const longest = Math.max(0, ...owners.map((plan) => prefixOf(plan).length));
  return owners.filter((plan) => prefixOf(plan).length === longest);
}
