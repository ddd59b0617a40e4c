// Ends of a stream. to: writes to a topic. upsertInto: writes rows into a Postgres table. forward: carries a stream as it is
// to the part of a table.
import type { Operation, OperatorFacts, PlanTable, PlanTopic } from "../../../core/plan.ts";
import type { TableSpec } from "../../../core/table-layout.ts";
import { writing } from "../../../transform/stateless/write.ts";
import { isDeclared } from "../../nodes/graph.ts";
import { planTopicOf } from "../../nodes/plan-topic.ts";
import type { StreamNode } from "../../nodes/stream-node.ts";
import type { RowTarget } from "../../table.ts";
import type { TopicTarget } from "../../topic.ts";

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Writes to a topic, by the same key. `to(cleanOrders)` */
    to(topic: TopicTarget<K, V>): void;
    /** Writes rows into a Postgres table, exactly once. `upsertInto(factOrders)` */
    upsertInto(table: RowTarget<V>): void;
  }
}

const ofTopic: OperatorFacts = { work: writing, named: "topic", writes: "topic", ends: true };

export const forwarding: OperatorFacts = { work: writing, writes: "forward", ends: true };

const ofTable: OperatorFacts = {
  work: writing,
  named: "snake_case",
  writes: "table",
  ends: true,
  details({ table }: Operation) {
    const { version } = (table as PlanTable).declaration as TableSpec;
    return { newest: `by ${version ?? "event time"}`, deleted: "keeps rows of deleted keys" };
  },
};

export function to<K, V>(this: StreamNode<K, V>, topic: TopicTarget<K, V>): void {
  if (!isDeclared(topic, "topic")) return this.graph.refuse("to", "a topic(…)", topic);
  const target = planTopicOf(topic, this.graph.topicPartitions);
  this.next(topic.name, { kind: "to", topic: target }, ofTopic);
}

export const forward = (topic: PlanTopic): Operation => ({ kind: "forward", topic });

export function upsertInto<K, V>(this: StreamNode<K, V>, table: RowTarget<V>): void {
  if (!isDeclared(table, "postgres-table"))
    return this.graph.refuse("upsertInto", "a postgresTable(…)", table);
  const { name } = table;
  this.next(name, { kind: "upsert", table: { name, declaration: table } }, ofTable);
}
