// Topics that are somebody else's: another team's, or those of a pipeline that a command was not given. They are checked,
// so that who needs them hears what is missing, and never made or changed. Pure.
import { ConfigError, type MillraceError } from "../core/errors.ts";
import type { TopicDescription, TopicSpec } from "../core/kafka.ts";
import { missingText, unregisteredText } from "../core/plan-settings.ts";
import type { SchemasPlan } from "./topic-schemas.ts";
import { driftOf } from "./topic-settings.ts";

/** "external": declared so · names: the pipelines that write it. */
export type TopicOwner = "external" | readonly string[];

interface Owned {
  readonly spec: TopicSpec;
  readonly kind: string;
}

/** A pipeline's topic may be made later, and its schemas are its own affair. */
export function ownerProblems(
  { spec, kind }: Owned,
  owner: TopicOwner,
  found: TopicDescription | null,
  { registers, problems }: SchemasPlan,
): readonly MillraceError[] {
  if (owner !== "external") return [];
  const missing = found === null ? [missingText(spec.topic, true)] : [];
  // A reader takes the schemas of writers as they are; a writer needs the id of its own.
  const unregistered = kind === "output" ? registers : [];
  return [
    ...missing.map((text) => new ConfigError("MILL_TOPIC_MISSING", text)),
    ...unregistered.map(
      ({ subject }) => new ConfigError("MILL_SCHEMA_UNREGISTERED", unregisteredText(subject, true)),
    ),
    ...problems,
  ];
}

export function ownerWarnings(
  { spec }: Owned,
  owner: TopicOwner,
  found: TopicDescription | null,
): readonly string[] {
  if (owner !== "external") return found === null ? [madeBy(owner)] : [];
  const drifts = found === null ? [] : driftOf(spec.config, found, false);
  return drifts.map(
    (drift) =>
      `${drift.name} is ${drift.found ?? "unset"}, declared ${drift.declared}: its owner may change it`,
  );
}

const madeBy = (pipelines: readonly string[]): string =>
  `is not there and belongs to a pipeline that was not named: npx millrace topics apply ${pipelines.join(" ")}`;
