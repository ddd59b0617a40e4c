// The schemas that a plan writes values by.
import type { Plan, PlanTopic } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import { ownFormat, type SchemaFormat } from "../core/schema.ts";

/** Formats of a plan's topics that need an id of ours in the registry to be written. */
export function writtenSchemas(
  plan: Plan,
): { topic: TopicName; side: "key" | "value"; format: SchemaFormat; isExternal: boolean }[] {
  const written = plan.parts
    .flatMap((part) => part.nodes)
    .filter(({ facts }) => facts.writes === "topic" || facts.writes === "repartition")
    .flatMap(({ operation }) => operation.topic ?? []);
  const changelogs = plan.parts.flatMap((part) => part.stores).map(({ changelog }) => changelog);
  const sides = (topic: PlanTopic) =>
    (["key", "value"] as const).map((side) => {
      const isExternal = topic.external === true;
      return { topic: topic.name, side, format: ownFormat(topic[side]), isExternal };
    });
  return [...written, ...changelogs].flatMap(sides).filter(({ format }) => format.kind === "avro");
}
