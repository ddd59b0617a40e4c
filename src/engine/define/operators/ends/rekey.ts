// rekey: a new key, through a topic between parts.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { Encoder, Schema, SchemaFormat } from "../../../core/schema.ts";
import { writing, type Repartition } from "../../../transform/stateless/write.ts";
import { repartitionTopic } from "../../nodes/plan-topic.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import { string } from "../../schema.ts";
import type { Fn } from "../../stream.ts";

export interface RekeyOptions<K2, V = never> {
  /** Needed when the new key is no string. */
  readonly key?: Schema<K2>;
  /** Default: as many as the source has. */
  readonly partitions?: number;
  /**
   * The format of values in the topic between; an Avro schema evolves as any topic's does. Default: a value that no
   * step has changed keeps the bytes that it had in its topic; a value that the code has made is JSON.
   */
  readonly value?: { readonly format: SchemaFormat; readonly writes: Encoder<V> };
}

/** Options that must name the key where it is no string. */
export type Rekeying<K2, V> = string extends K2
  ? [RekeyOptions<K2, V>?]
  : [RekeyOptions<K2, V> & { key: Schema<K2> }];

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** A new key, through a repartition topic; a null key drops the record. `rekey("by-customer", (o) => o.customerId)` */
    rekey<K2 = string>(
      name: string,
      key: Fn<K, V, K2 | null>,
      ...options: Rekeying<K2, V>
    ): Stream<K2, V>;
  }
}

const facts: OperatorFacts = { work: writing, writes: "repartition" };

export const rekey: Method = operator(
  facts,
  (_, key: Repartition["key"], options: RekeyOptions<unknown, unknown> = {}): Repartition => {
    const own = (options.key ?? string).format;
    const value: SchemaFormat = options.value?.format ?? { kind: "tagged-json" };
    const topic = repartitionTopic(own, value, options.partitions ?? 0);
    return { kind: "repartition", key, topic };
  },
);
