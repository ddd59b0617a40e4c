// The flow out of each node of a graph, as far as topics between parts must know: from which topics it comes, whether a
// step has changed it since, and how large it may be.
import {
  mapStores,
  queuesKeys,
  storesOf,
  type Operation,
  type PlanNode,
  type PlanStore,
  type PlanTopic,
} from "../../../core/plan.ts";
import { sideName } from "../../../core/join-buffer.ts";
import { ANY_TIMESTAMP, CLEANUP_POLICY, MESSAGE_BYTES_MAX } from "../../../core/topic-config.ts";
import type { TopicName } from "../../../core/record.ts";
import type { CarriedFormat, Origin, SchemaFormat } from "../../../core/schema.ts";

/** The values that leave a node. */
export interface CarriedFlow {
  /** Topics above. */
  readonly origins: readonly Origin[];
  /** A step has made something else of them since they were last read. */
  readonly isChanged: boolean;
  /** The internal topic through which they came last, or null. */
  readonly via: TopicName | null;
  /** Under which name structures of values that the code has made are noted. */
  readonly shapes: TopicName | null;
  readonly bytesMax: number;
}

export type Flows = ReadonlyMap<number, CarriedFlow>;

/** Kafka's default max.message.bytes. */
const RECORD_BYTES = 1_048_588;
/** For a longer key, for what is put in front of the value, and for headers. */
const ROOM_BYTES = 65_536;

/** Needs nodes in the order of declaration. */
export function flowsOf(
  nodes: readonly PlanNode[],
  nameOf: (node: PlanNode) => TopicName,
): Map<number, CarriedFlow> {
  const flows = new Map<number, CarriedFlow>();
  for (const node of nodes) {
    const above = node.inputs.map((id) => flows.get(id) as CarriedFlow);
    const { facts } = node;
    const topic = node.operation.topic as PlanTopic;
    if (facts.reads) flows.set(node.id, fromTopic(topic));
    else if (facts.writes === "repartition")
      flows.set(node.id, through(nameOf(node), joined(above), declaredBy(topic)));
    else {
      const flow = joined(above);
      flows.set(node.id, facts.changes ? { ...flow, isChanged: true } : flow);
    }
  }
  return flows;
}

const fromTopic = ({ name, value, config }: PlanTopic): CarriedFlow => ({
  origins: [{ topic: name, format: value }],
  isChanged: false,
  via: null,
  shapes: null,
  bytesMax: Number(config[MESSAGE_BYTES_MAX] ?? RECORD_BYTES),
});

/** Streams that came through different topics of ours are written anew, since their bytes mean different things. */
export function joined(flows: readonly CarriedFlow[]): CarriedFlow {
  const [first, ...others] = flows;
  if (first === undefined) throw new TypeError("nothing flows in");
  return others.reduce((a, b): CarriedFlow => {
    const origins = new Map([...a.origins, ...b.origins].map((origin) => [origin.topic, origin]));
    return {
      origins: [...origins.values()],
      isChanged: a.isChanged || b.isChanged || a.via !== b.via,
      via: a.via,
      shapes: a.shapes,
      bytesMax: Math.max(a.bytesMax, b.bytesMax),
    };
  }, first);
}

function through(topic: TopicName, flow: CarriedFlow, declared: SchemaFormat | null): CarriedFlow {
  const format = carriedBy(topic, flow, declared);
  const own = declared === null ? flow.origins : [{ topic, format: declared }];
  const bytesMax = bytesMaxOf(flow);
  return { ...flow, origins: own, isChanged: false, via: topic, shapes: format.shapes, bytesMax };
}

/** The format in which an internal topic writes its values. */
export function carriedBy(
  topic: TopicName,
  { origins, isChanged, shapes }: CarriedFlow,
  declared: SchemaFormat | null,
): CarriedFormat {
  if (declared !== null) {
    const all = [...origins, { topic, format: declared }];
    return { kind: "carried", writes: "declared", origins: all, declared, shapes: topic };
  }
  if (isChanged) return { kind: "carried", writes: "tagged", origins, declared, shapes: topic };
  const noted = shapes ?? topic;
  return { kind: "carried", writes: "as-they-came", origins, declared, shapes: noted };
}

/** The format that an operator declares for the values behind it; our own JSON means none. */
export const declaredBy = ({ value }: PlanTopic): SchemaFormat | null =>
  value.kind === "tagged-json" ? null : value;

/** The size that a topic fed by this takes: JSON of an Avro record is larger than the record. */
export const bytesMaxOf = ({ bytesMax, isChanged }: CarriedFlow): number =>
  (isChanged ? 2 : 1) * bytesMax + ROOM_BYTES;

/** The parts of an internal topic that follow from what flows into it. */
export const fedBy = (
  name: TopicName,
  flow: CarriedFlow,
  declared: SchemaFormat | null,
): Pick<PlanTopic, "name" | "value" | "config"> => ({
  name,
  value: carriedBy(name, flow, declared),
  config: {
    [CLEANUP_POLICY]: "delete",
    // A repartition topic is purged after records were committed (KIP-811); no topic of ours is by time.
    "retention.ms": "-1",
    ...ANY_TIMESTAMP,
    [MESSAGE_BYTES_MAX]: String(bytesMaxOf(flow)),
  },
});

/** A step with a store: its changelog takes what may come there, and a queued record needs no copy of a value that its bytes say. */
export function withFlow(node: PlanNode, flows: Flows): PlanNode {
  const { operation, inputs } = node;
  if (storesOf(operation).length === 0) return node;
  const above = inputs.map((id) => flows.get(id) as CarriedFlow);
  const feeds = joined(above);
  const bytesMax = String(2 * feeds.bytesMax + ROOM_BYTES);
  const changed = mapStores(operation, (store) => {
    const config = { ...store.changelog.config, [MESSAGE_BYTES_MAX]: bytesMax };
    const value = storedBy(store, above);
    return { ...store, changelog: { ...store.changelog, value, config } };
  });
  const carries = queuesKeys(node) ? { isCarried: !feeds.isChanged } : {};
  return { ...node, operation: { ...changed, ...carries } as Operation };
}

/** A join keeps the values of each side as a topic between parts carries them. */
function storedBy(
  { name, changelog: { value } }: PlanStore,
  above: readonly CarriedFlow[],
): SchemaFormat {
  if (value.kind !== "join-buffer") return value;
  return { ...value, sides: above.map((flow, at) => carriedBy(sideName(name, at), flow, null)) };
}
