// Every topic that some plans need: declared ones, internal ones, dead letters, notes. What the
// declaration of a topic leaves out is decided when the topic is made, and never again.
import {
  BROKER_DEFAULTS,
  letterStatesSpec,
  madeWith,
  ownSpecs,
  redriveSpec,
  type TopicDefaults,
} from "../core/own-topics.ts";
import type { Plan, PlanTopic } from "../core/plan.ts";
import { ownFormat, subjectOf, type SchemaFormat } from "../core/schema.ts";
import { CLEANUP_POLICY, RETENTION_MS } from "../core/topic-config.ts";
import { feedingOf, type Feeding } from "./topic-limits.ts";
import type { DesiredTopic, TopicKind } from "./topics.ts";

export interface DesiredOptions {
  readonly defaults: TopicDefaults;
  /** Topics that would be made at their first use are made at once. */
  readonly withRedrive: boolean;
  /** The pipelines whose topics are wanted; none: all. Topics that others write are then only checked. */
  readonly pipelines: readonly string[];
}

/** Returns one entry per topic, in the order of the plans. */
export function desiredTopics(
  all: readonly Plan[],
  { defaults = BROKER_DEFAULTS, withRedrive = false, pipelines = [] }: Partial<DesiredOptions> = {},
): DesiredTopic[] {
  const isNamed = ({ pipeline }: Plan): boolean =>
    pipelines.length === 0 || pipelines.includes(pipeline);
  const plans = all.filter(isNamed);
  const owners = writersOf(all.filter((plan) => !isNamed(plan)));
  for (const name of writersOf(plans).keys()) owners.delete(name);
  const outputs = new Set(plans.flatMap(({ topics }) => topics.output.map(({ name }) => name)));
  const kindOf = ({ name, internal }: PlanTopic): TopicKind =>
    internal ?? (outputs.has(name) ? "output" : "source");
  const options = { defaults, withRedrive, pipelines };
  const byName = new Map<string, DesiredTopic>();
  const feeding = new Map<string, Feeding[]>();
  for (const plan of plans) {
    for (const topic of [
      ...plan.topics.all.map((topic) => ({
        ...declared(topic, kindOf(topic), defaults),
        ...ownedBy(topic, owners),
      })),
      ...own(plan, options),
    ])
      byName.set(topic.spec.topic, joined(byName.get(topic.spec.topic), topic));
    for (const [name, sources] of feedingOf(plan))
      feeding.set(name, [...(feeding.get(name) ?? []), ...sources]);
  }
  return [...byName.values()].map((topic) => {
    const sources = feeding.get(topic.spec.topic);
    return sources === undefined ? topic : { ...topic, feeding: sources };
  });
}

/** A topic that is declared twice: a setting of either counts, and one owner elsewhere is enough. */
function joined(earlier: DesiredTopic | undefined, topic: DesiredTopic): DesiredTopic {
  if (earlier === undefined) return topic;
  const owner = [earlier.owner, topic.owner].includes("external") ? "external" : topic.owner;
  const config = { ...earlier.spec.config, ...topic.spec.config };
  return {
    ...topic,
    spec: { ...topic.spec, config },
    ...(owner === undefined ? {} : { owner }),
  };
}

/** By topic, the pipelines that write it. */
function writersOf(plans: readonly Plan[]): Map<string, string[]> {
  const writers = new Map<string, string[]>();
  for (const { pipeline, topics } of plans)
    for (const { name } of [...topics.output, ...topics.internal])
      writers.set(name, [...(writers.get(name) ?? []), pipeline]);
  return writers;
}

function ownedBy(
  { name, external = false }: PlanTopic,
  owners: ReadonlyMap<string, readonly string[]>,
): Pick<DesiredTopic, "owner"> {
  const owner = external ? "external" : owners.get(name);
  return owner === undefined ? {} : { owner };
}

/** Settings of a topic that is made from here, where its declaration says nothing. */
const WHEN_MADE = { [CLEANUP_POLICY]: "delete", [RETENTION_MS]: String(7 * 86_400_000) };

/** The settings of an installation are those of its pipelines' own topics; others have them when they are made. */
function declared(topic: PlanTopic, kind: TopicKind, defaults: TopicDefaults): DesiredTopic {
  const facts: Omit<DesiredTopic, "spec"> = {
    kind,
    partitionsBy: topic.partitionsBy ?? "declaration",
    ...schemaOf(topic, "key"),
    ...schemaOf(topic, "value"),
  };
  const spec = madeWith(defaults, { ...topic, topic: topic.name });
  if (topic.internal !== null) return { ...facts, spec };
  const isKept = topic.config[CLEANUP_POLICY] === "compact";
  const whenMade = isKept ? {} : WHEN_MADE;
  return {
    ...facts,
    spec: { ...spec, config: topic.config },
    madeWith: { ...whenMade, ...spec.config },
  };
}

function schemaOf(topic: PlanTopic, side: "key" | "value"): Partial<DesiredTopic> {
  const format: SchemaFormat = ownFormat(topic[side]);
  if (format.kind !== "avro") return {};
  const registered = {
    subject: subjectOf(topic.name, side),
    schema: JSON.stringify(format.schema),
  };
  return side === "key" ? { keySchema: registered } : { valueSchema: registered };
}

/** The topics that a plan has for itself. Any number of partitions will do for letters: 0.1.0 made as many as sources have. */
function own(plan: Plan, { defaults, withRedrive }: DesiredOptions): DesiredTopic[] {
  const isLate = !withRedrive;
  const [letters, meta] = ownSpecs(plan, defaults);
  return [
    { spec: letters, kind: "dead letters", width: "any" },
    { spec: letterStatesSpec(plan, defaults), kind: "letter states", isLate },
    { spec: redriveSpec(plan, defaults), kind: "redrive", width: "at least", isLate },
    { spec: meta, kind: "meta" },
  ];
}
