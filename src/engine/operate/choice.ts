// Pipelines and parts by the names that a command was given; an error about a missing one lists those that there are.
import { MillraceError } from "../core/errors.ts";
import type { GroupPatience } from "../core/empty-groups.ts";
import type { KafkaPort, AdminPort } from "../core/kafka.ts";
import type { TopicDefaults } from "../core/own-topics.ts";
import type { Part, Plan, PlanOptions, PlanTable } from "../core/plan.ts";
import type { Clock, TableStore } from "../core/ports.ts";
import type { TopicName, TopicPartition } from "../core/record.ts";
import type { StateCopies } from "../core/state.ts";

/** The ports that operating needs; the admin client is the command's own. */
export interface OperatePorts {
  readonly kafka: KafkaPort;
  readonly admin: AdminPort;
  readonly clock: Clock;
  /** The settings of topics that a command makes; left out, the brokers' own. */
  readonly topicDefaults?: TopicDefaults;
  /** For members of groups that must be empty; left out: they are refused at once. */
  readonly patience?: GroupPatience;
  tableStore(table: PlanTable): TableStore;
  stateCopies(kind: PlanOptions["state"]): StateCopies;
}

export const missing = (what: string, name: string, there: readonly string[]): MillraceError =>
  new MillraceError("MILL_NOT_FOUND", `${what} ${name}; there are: ${there.join(", ") || "none"}`);

export function planNamed(plans: readonly Plan[], name: string): Plan {
  const found = plans.find(({ pipeline }) => pipeline === name);
  const names = plans.map(({ pipeline }) => pipeline);
  if (found === undefined) throw missing("pipeline", name, names);
  return found;
}

/** Null: all. */
export interface TaskChoice {
  readonly part: string | null;
  readonly topic: string | null;
  readonly partition: number | null;
}

/** By its topic and partition; parts are chosen by `partsNamed`. */
export const isChosen = (at: TopicPartition, { topic, partition }: TaskChoice): boolean =>
  (topic === null || at.topic === topic) && (partition === null || at.partition === partition);

export function missingPlace(there: Iterable<TopicName>): MillraceError {
  const names = [...new Set(there)].join(", ");
  return new MillraceError("MILL_NOT_FOUND", `no such topic and partition; there are: ${names}`);
}

/** All when none is named. */
export const plansNamed = (plans: readonly Plan[], names: readonly string[]): readonly Plan[] =>
  names.length === 0 ? plans : names.map((name) => planNamed(plans, name));

/** All parts when none is named. */
export function partsNamed({ pipeline, parts }: Plan, name: string | null): readonly Part[] {
  if (name === null) return parts;
  const found = parts.filter((part) => part.name === name);
  const names = parts.map((part) => part.name);
  if (found.length === 0) throw missing(`part of ${pipeline}`, name, names);
  return found;
}
