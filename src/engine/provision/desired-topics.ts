// Every topic that some plans need: declared ones, internal ones, dead letters, notes.
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
import { feedingOf, type Feeding } from "./topic-limits.ts";
import type { DesiredTopic, TopicKind } from "./topics.ts";

export interface DesiredOptions {
  readonly defaults: TopicDefaults;
  /** Topics that would be made at their first use are made at once. */
  readonly withRedrive: boolean;
}

/** Returns one entry per topic, in the order of the plans. */
export function desiredTopics(
  plans: readonly Plan[],
  { defaults = BROKER_DEFAULTS, withRedrive = false }: Partial<DesiredOptions> = {},
): DesiredTopic[] {
  const outputs = new Set(plans.flatMap(({ topics }) => topics.output.map(({ name }) => name)));
  const kindOf = ({ name, internal }: PlanTopic): TopicKind =>
    internal ?? (outputs.has(name) ? "output" : "source");
  const options = { defaults, withRedrive };
  const byName = new Map<string, DesiredTopic>();
  const feeding = new Map<string, Feeding[]>();
  for (const plan of plans) {
    for (const topic of [
      ...plan.topics.all.map((topic) => declared(topic, kindOf(topic), defaults)),
      ...own(plan, options),
    ])
      byName.set(topic.spec.topic, topic);
    for (const [name, sources] of feedingOf(plan))
      feeding.set(name, [...(feeding.get(name) ?? []), ...sources]);
  }
  return [...byName.values()].map((topic) => {
    const sources = feeding.get(topic.spec.topic);
    return sources === undefined ? topic : { ...topic, feeding: sources };
  });
}

const declared = (topic: PlanTopic, kind: TopicKind, defaults: TopicDefaults): DesiredTopic => ({
  spec: madeWith(defaults, { ...topic, topic: topic.name }),
  kind,
  partitionsBy: topic.partitionsBy ?? "declaration",
  ...schemaOf(topic, "key"),
  ...schemaOf(topic, "value"),
});

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
