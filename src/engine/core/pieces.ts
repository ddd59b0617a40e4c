// The names of a plan's pieces. A piece that reads topics of others is `main` when it has the pipeline's first `from`, else it
// is named by its source. So a change of the pipeline may rename a piece, and releases before this one had every such piece
// in `main`: its progress, letters and state are then found under the name of before. Pure.
import type { Part, Plan } from "./plan.ts";
import type { GroupId, TopicName } from "./record.ts";
import { operatorNamed, operatorOfResults } from "./state-results.ts";

export const MAIN = "main";

/** By its source; in other words where a table or an operator has that name. */
export const pieceName = (topic: TopicName, isTaken: (name: string) => boolean): string =>
  isTaken(topic) ? `from-${topic}` : topic;

/** Whether the part reads the topic, or has the store whose results come from there. */
export function reads(part: Part, topic: TopicName): boolean {
  const operator = operatorOfResults(topic);
  if (operator !== null) return operatorNamed(part, operator) >= 0;
  return part.sources.some(({ name }) => name === topic);
}

/** The names under which the part may have run before; none for a table's part, and one behind an operator's topic. */
export function formerNames({ name, table, sources }: Part): readonly string[] {
  if (table !== null || sources.some(({ internal }) => internal !== null)) return [];
  const names = sources.flatMap((topic) => [topic.name, `from-${topic.name}`]);
  return [MAIN, ...names].filter((one) => one !== name);
}

export const isNamedBySource = (part: Part): boolean =>
  part.name !== MAIN && formerNames(part).length > 0;

/** The group of the part that the pipeline's first `from` is in. */
export const mainGroup = ({ group, name }: Part): GroupId => group.slice(0, -name.length) + MAIN;

/** The part that reads the topic now, where a part of that name read it once; null when there is none. */
export function readerOf({ parts }: Plan, name: string, topic: TopicName): Part | null {
  const readers = parts.filter((part) => reads(part, topic));
  const named = readers.find((part) => part.name === name);
  return named ?? readers.find((part) => formerNames(part).includes(name)) ?? null;
}

/** Written down by an earlier version, perhaps: each under the part that reads its topic now. */
export const withReaders = <T extends { readonly part: string; readonly topic: TopicName }>(
  plan: Plan,
  all: readonly T[],
): readonly T[] =>
  all.map((at) => ({ ...at, part: readerOf(plan, at.part, at.topic)?.name ?? at.part }));

/** Every group in which workers of the pipeline may be members now, or may have been under a part's earlier names. */
export function groupsOf(plan: Plan): readonly GroupId[] {
  const former = (part: Part): readonly GroupId[] =>
    part.sources.flatMap(({ name }) => formerGroups(plan, part, name).free);
  const groups = plan.parts.flatMap((part) => [part.group, mainGroup(part), ...former(part)]);
  return [...new Set(groups)];
}

/**
 * Groups of the part's earlier names. free: they may have progress of the part in the topic. taken: they had its progress
 * perhaps, and are those of parts that read the topic now.
 */
export function formerGroups(
  { parts }: Plan,
  part: Part,
  topic: TopicName,
): Record<"free" | "taken", readonly GroupId[]> {
  const prefix = part.group.slice(0, -part.name.length);
  const isTaken = (name: string): boolean =>
    parts.some((other) => other.name === name && reads(other, topic));
  const names = Map.groupBy(formerNames(part), isTaken);
  const groups = (taken: boolean) => (names.get(taken) ?? []).map((name) => prefix + name);
  return { free: groups(false), taken: groups(true) };
}
