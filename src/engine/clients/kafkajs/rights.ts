// The rights that requests need, for the message of one that an access list refuses: brokers answer with a code alone, and
// name neither the right nor, in most requests, the topic, group or transactional id that lacks it.
import type { GroupId, TopicName } from "../../core/record.ts";

/** An operation of Kafka's access lists. Read, Write, Delete and Alter imply Describe, AlterConfigs DescribeConfigs. */
export type KafkaRight =
  | "Read"
  | "Write"
  | "Create"
  | "Delete"
  | "Alter"
  | "Describe"
  | "DescribeConfigs"
  | "AlterConfigs";

/** A request: its name in an error, and what it works on. */
export interface Work {
  /** Names the request and its address: "send to orders-3". */
  readonly what: string;
  /** The topic that an error names when the broker's answer names none. */
  readonly topic?: TopicName;
  readonly group?: GroupId;
  readonly transactionalId?: string;
  /** On its topics and its group; default Read. */
  readonly right?: KafkaRight;
}

export const workOf = (what: string | Work): Work => (typeof what === "string" ? { what } : what);

const TOPIC = 29;
const GROUP = 30;
const CLUSTER = 31;
const TRANSACTIONAL_ID = 53;

/** For the message of a refusal; null where an access list is not its reason. */
export function missingRight(
  code: number,
  work: Work,
  topic: TopicName | undefined = work.topic,
): string | null {
  const lacking = lackingOf(code, work, topic);
  return lacking && `${lacking}; for the grants: npx millrace acls`;
}

function lackingOf(code: number, work: Work, topic?: TopicName): string | null {
  const { group, transactionalId, right = "Read" } = work;
  switch (code) {
    case TOPIC:
      return topic === undefined ? null : `the topic ${topic} needs the right ${right}`;
    case GROUP:
      return `the group${after(group)} needs the right ${right === "Describe" ? right : "Read"}`;
    case CLUSTER:
      return "a topic that is written needs the right Write, or the cluster IdempotentWrite";
    case TRANSACTIONAL_ID:
      return `the transactional id${after(transactionalId)} needs the right Write`;
    default:
      return null;
  }
}

const after = (name: string | undefined): string => (name === undefined ? "" : ` ${name}`);
