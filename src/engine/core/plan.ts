// A plan: a pipeline after building, as frozen data. Parts are cut at repartition topics and at table sinks;
// one part is one consumer group, and a task is one part on one partition.
import type { TimeRule } from "./event-time.ts";
import type { SchemaFormat } from "./schema.ts";
import type { GroupId, RecordContext, TopicName } from "./record.ts";

type Fn<R> = (value: unknown, record: RecordContext) => R;

/** What became of a rule that does not hold. */
export type Otherwise = "log" | "drop" | "dead-letter" | "halt";

/** A topic as the engine sees it, user's or internal. */
export interface PlanTopic {
  readonly name: TopicName;
  readonly key: SchemaFormat;
  readonly value: SchemaFormat;
  readonly partitions: number;
  /** Null takes Kafka's timestamp. */
  readonly timestamp: ((value: unknown) => unknown) | null;
  /** How its times are judged; the default rule where a declared topic does not say, and none for internal topics. */
  readonly timeRule?: TimeRule;
  /** Internal topics are made by `topics apply` and belong to one pipeline. */
  readonly internal: "repartition" | "sink" | "changelog" | null;
  /** Topic configuration, as Kafka names it. */
  readonly config: Readonly<Record<string, string>>;
  /** Fields that are personal data; tools mask them. */
  readonly personalData: readonly string[];
}

/** A table as the engine sees it; `define/table.ts` has its full declaration. */
export interface PlanTable {
  readonly name: string;
  readonly declaration: unknown;
  /** Set where a run of the reprocessor writes into the live table. */
  readonly corrects?: Correction;
}

/**
 * Rows are written under the name of the live topic, at the place that the live pipeline had reached when the run was
 * pinned: a live row from there on is newer and stays; one from before, of the same version, is replaced.
 */
export interface Correction {
  readonly topic: TopicName;
  /** Ends of the live topic by partition, pinned before the sources were; null: the record's own offset is the live one's. */
  readonly ends: readonly bigint[] | null;
}

/** Keyed state of one operator: partition i of it belongs to the task of partition i. */
export interface PlanStore {
  /** The operator's name. */
  readonly name: string;
  /** The store's truth: its key and value are those of the store. */
  readonly changelog: PlanTopic;
  /** How long an entry is kept, in ms of stream time; null is for ever. */
  readonly retentionMs: number | null;
}

/** What a worker opens for callbacks and closes when it ends; `define/calls/resource.ts` has its full declaration. */
export interface PlanResource {
  readonly name: string;
  readonly declaration: unknown;
}

/** What is thrown at once as hopeless. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** What is done about a call that failed. */
export interface RetryPolicy {
  /** block: the task waits · park-key: the key waits in state with its later records, others go on. */
  readonly mode: "block" | "park-key";
  /** Calls in all. */
  readonly attempts: number;
  /** The wait doubles from the first to the longest. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** From the first failure; null is no limit. */
  readonly withinMs: number | null;
  readonly fatal: readonly ErrorClass[];
  /** Records of one key that wait, and bytes of their keys, values and headers. */
  readonly runMax: { readonly records: number; readonly bytes: number };
}

/** What a call is given beside the value. */
export interface CallContext {
  readonly client: unknown;
  /** Aborts when the call has taken too long, and when the task is taken away. */
  readonly signal: AbortSignal;
  readonly record: RecordContext;
}

/** A call to the outside for each record. */
export interface CallOperation {
  readonly kind: "map-async";
  readonly fn: (value: unknown, call: CallContext) => Promise<unknown>;
  readonly resource: PlanResource | null;
  /** Calls of one task at a time. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Null: a dead letter at the first failure. */
  readonly retry: RetryPolicy | null;
}

/** One whose failing keys wait in a store. */
export interface ParkingOperation extends CallOperation {
  readonly store: PlanStore;
  /** No step between the part's source and this one changes a value: its bytes are enough to have it again. */
  readonly isCarried?: boolean;
}

/** The rule for a repeat that says something else than the first. */
export interface Repeats {
  readonly conflict: "dead-letter" | "log";
  /** The part that is compared; null: the whole value. */
  readonly content: ((value: unknown) => unknown) | null;
}

/** When a store's changes are told downstream: each, or the last of a key at a checkpoint. */
export type Emission = "update" | "checkpoint";

/** The new state, and what is told downstream. */
export interface Stepped {
  readonly state: unknown;
  readonly emit: Iterable<unknown>;
}

export type Operation =
  | { readonly kind: "source"; readonly topic: PlanTopic }
  | { readonly kind: "map"; readonly fn: Fn<unknown> }
  | { readonly kind: "flat-map"; readonly fn: Fn<Iterable<unknown>> }
  | { readonly kind: "filter"; readonly test: Fn<boolean> }
  /** Deletes downstream what does not pass. */
  | { readonly kind: "table-filter"; readonly test: Fn<boolean> }
  | { readonly kind: "peek"; readonly fn: Fn<void> }
  | {
      readonly kind: "expect";
      readonly test: Fn<boolean>;
      readonly otherwise: Otherwise;
      readonly dimension: string | null;
    }
  /** First match wins; the arm behind the last test takes the rest. Arms are the nodes that follow. */
  | { readonly kind: "branch"; readonly tests: readonly Fn<boolean>[] }
  | { readonly kind: "arm"; readonly index: number; readonly label: string }
  | { readonly kind: "merge" }
  /** The first record of each `by` within the store's retention, among those of one key. */
  | {
      readonly kind: "distinct";
      readonly by: Fn<unknown>;
      readonly store: PlanStore;
      /** The rule for repeats. Without it, every repeat is dropped, whatever it says. */
      readonly onRepeat?: Repeats;
    }
  | {
      readonly kind: "aggregate";
      readonly store: PlanStore;
      readonly init: (key: unknown) => unknown;
      /** Null deletes the aggregate. */
      readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
      readonly emission: Emission;
    }
  | {
      readonly kind: "map-with-state";
      readonly store: PlanStore;
      readonly map: (state: unknown, value: unknown, record: RecordContext) => Stepped;
      /** The step of a tombstone. Without it, tombstones are dropped. */
      readonly onTombstone?: (state: unknown, record: RecordContext) => Stepped;
    }
  | CallOperation
  | ParkingOperation
  | { readonly kind: "repartition"; readonly key: Fn<unknown>; readonly topic: PlanTopic }
  /** Carries a stream as it is into a table's own part. */
  | { readonly kind: "forward"; readonly topic: PlanTopic }
  | { readonly kind: "to"; readonly topic: PlanTopic }
  | { readonly kind: "upsert"; readonly table: PlanTable };

export interface PlanNode {
  readonly id: number;
  /** Operator name; sources and sinks are named by their topic or table. */
  readonly name: string;
  readonly operation: Operation;
  readonly inputs: readonly number[];
  /** Where it was declared: file:line. */
  readonly site: string;
}

export interface Part {
  readonly name: string;
  readonly kind: "stream" | "sink";
  readonly group: GroupId;
  /** Inputs stand before what they feed. */
  readonly nodes: readonly PlanNode[];
  readonly sources: readonly PlanTopic[];
  readonly partitions: number;
  /** In the order of their operators. */
  readonly stores: readonly PlanStore[];
  /** Set in sink parts. */
  readonly table: PlanTable | null;
}

/** More than so many dead letters among the last so many records of a task halt the pipeline. */
export interface LetterLimit {
  readonly letters: number;
  readonly records: number;
}

export interface PlanOptions {
  readonly start: "earliest" | "latest" | number;
  readonly onError: "dead-letter" | "halt";
  readonly haltWhen: LetterLimit | "never";
  /** Where copies of state are kept beside their changelogs. */
  readonly state: "redis" | "memory";
  /** Failed redrives after which a letter is parked. */
  readonly redrivesMax?: number;
  /** For calls that say nothing of their own. */
  readonly retry?: RetryPolicy;
}

export interface Plan {
  readonly pipeline: string;
  readonly namespace: string;
  /** SHA-256 of the plan, 12 hex digits: names the version in letters and logs. */
  readonly version: string;
  readonly options: PlanOptions;
  readonly parts: readonly Part[];
  /** Every topic of the pipeline, internal ones included. */
  readonly topics: readonly PlanTopic[];
  readonly tables: readonly PlanTable[];
  readonly deadLetters: TopicName;
  /** Letters that failed again as often as is allowed. */
  readonly parked: TopicName;
  /** Brings letters back; partition i of it is read by the tasks of partition i. */
  readonly redrive: TopicName;
  /** What became of letters, compacted. */
  readonly letterStates: TopicName;
  readonly meta: TopicName;
  /** Before the names of its stores, in changelogs and in Redis: namespace and pipeline, or those of a run (`withStores`). */
  readonly storePrefix: string;
}

/** Topics that are the pipeline's own and carry none of its streams. */
export const ownTopics = (plan: Plan): readonly TopicName[] => [
  plan.deadLetters,
  plan.parked,
  plan.redrive,
  plan.letterStates,
  plan.meta,
];
