// A plan: a pipeline after building, as frozen data. Parts are cut at repartition topics and at table sinks;
// one part is one consumer group, and a task is one part on one partition.
import type { ClosePoint } from "./close-points.ts";
import type { MillraceError } from "./errors.ts";
import type { TimeRule } from "./event-time.ts";
import type { LetterLimit } from "./letter-limit.ts";
import type { SchemaFormat } from "./schema.ts";
import type { GroupId, RecordContext, TopicName } from "./record.ts";
import type { DueOfUndated, WrongValue } from "./state.ts";
import type { EntryReader } from "./state-reader.ts";

/** A callback of an operator. */
export type Callback<R> = (value: unknown, record: RecordContext) => R;

/** A topic as the engine sees it, user's or internal. */
export interface PlanTopic {
  readonly name: TopicName;
  readonly key: SchemaFormat;
  readonly value: SchemaFormat;
  readonly partitions: number;
  /** Set where no declaration says the number: the topic's own, or that of the topic that it follows. */
  readonly partitionsBy?: "setting";
  /** Null takes Kafka's timestamp. */
  readonly timestamp: ((value: unknown) => unknown) | null;
  /** The rule for its times; the default rule where a declared topic does not say, and none for internal topics. */
  readonly timeRule?: TimeRule;
  /** Internal topics are made by `topics apply` and belong to one pipeline. */
  readonly internal: "repartition" | "sink" | "changelog" | null;
  /** Its owner makes and changes it; here it is only checked. */
  readonly external?: boolean;
  /** Topic configuration that is declared, as Kafka names it. */
  readonly config: Readonly<Record<string, string>>;
  /** Paths of declared personal data; none of an internal topic, whose values may be anything (personal.ts). */
  readonly personalData: readonly string[];
  /** Set where the declaration says so. */
  readonly personalKey?: boolean;
  /** Set where a part reads it to its end before its other sources, at a first start. */
  readonly loadFirst?: true;
  /**
   * The tasks that write a repartition topic: each is a channel, whose watermarks markers carry. Left out where nothing behind
   * it uses time.
   */
  readonly channels?: number;
  /** Set for a topic between parts behind which a step takes records in order: its records carry their origins. */
  readonly carriesOrigin?: true;
  /** Beside `channels`: the watermarks that concern what is behind it; left out where each move of them does. */
  readonly closePoints?: readonly ClosePoint[];
  /**
   * So long without records, windows behind it no longer wait for a partition of it. Left out where they wait for ever, and
   * where there are none.
   */
  readonly idleAfterMs?: number;
  /** The pipeline that writes it, where that is one of Millrace: an outage of it is no quietness. */
  readonly writtenBy?: string;
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
  /** The time that an entry is kept, in ms of stream time; null is for ever. */
  readonly retentionMs: number | null;
  readonly dueOfUndated: DueOfUndated;
  /** Null where values are the user's own. */
  readonly wrongValue: WrongValue | null;
  /** How commands show what it has of a key; left out where that is one entry with a value. */
  readonly reader?: EntryReader;
  /** Its entries are lists of records that wait: structures of their values are noted under the store's name. */
  readonly keepsRecords?: true;
}

/** A resource for callbacks, open as long as its worker; `define/calls/resource.ts` has its full declaration. */
export interface PlanResource {
  readonly name: string;
  readonly declaration: unknown;
}

/** An error class for which a call is not repeated. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** The treatment of a call that failed. */
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

/** The arguments of an operator: its callbacks, and what it reads, writes and keeps. */
export interface Operation {
  readonly kind: string;
  readonly topic?: PlanTopic;
  readonly table?: PlanTable;
  readonly store?: PlanStore;
  /** Further stores, of an operator that keeps several. */
  readonly stores?: readonly PlanStore[];
  readonly resource?: PlanResource | null;
}

export const storesOf = ({ store, stores = [] }: Operation): readonly PlanStore[] =>
  store === undefined ? stores : [store, ...stores];

/** The operation with each of its stores replaced. */
export const mapStores = (
  operation: Operation,
  of: (store: PlanStore) => PlanStore,
): Operation => ({
  ...operation,
  ...(operation.store === undefined ? {} : { store: of(operation.store) }),
  ...(operation.stores === undefined ? {} : { stores: operation.stores.map(of) }),
});

/** The windows that entries of a store are of. */
export interface StoredWindows {
  /** Kind, size and advance, gap, difference, or calendar. */
  readonly form: string;
  readonly graceMs: number;
}

/** The facts of an operator, said once, in its own file in define/operators/. Nobody else asks for its kind. */
export interface OperatorFacts {
  /** Makes it work: a `MakeOperator` of transform/operator.ts. */
  readonly work: unknown;
  /** The rule for its name. Default: kebab-case. "topic": by its topic, or by the branch it belongs to. */
  readonly named?: "snake_case" | "topic";
  /** A part begins with it. */
  readonly reads?: true;
  /** "repartition" writes a new key, "forward" carries a stream as it is to the part of a table. */
  readonly writes?: "topic" | "repartition" | "forward" | "table";
  /** Nothing needs to take its result. */
  readonly ends?: true;
  /** It changes values. */
  readonly changes?: true;
  /** It may make several records of one. */
  readonly multiplies?: true;
  /** A record goes on by one of its ways alone. */
  readonly divides?: true;
  /** Every record leaves it, with the key that it had. */
  readonly keepsAll?: true;
  /** It may run inside the part of a table. */
  readonly insideSink?: true;
  /** It deletes keys downstream. */
  readonly deletes?: true;
  /** Its results are sums of what came before: they begin anew where its store does. */
  readonly folds?: true;
  /** A result depends on no record that is older than it by more ms; left out: of a fold on any, else on none (B2). */
  readonly reachMs?: number;
  /** Its results leave it at the checkpoint. */
  readonly defers?: boolean;
  /** Its results, or what it forgets, depend on event time. */
  readonly usesTime?: true;
  /** Its results come when time has gone on, so a source that is quiet must not keep them. */
  readonly closes?: true;
  /** It takes records in order, by their times and origins. */
  readonly orders?: true;
  /** Its results come at the watermarks in front of it that are n times this, and some; left out where they may come at each. */
  readonly closePoint?: ClosePoint | undefined;
  /** The watermark behind it stays so many ms behind the one in front of it; left out for 0. */
  readonly delayMs?: number;
  /** Its store has keys of its own making. */
  readonly ownKeys?: true;
  /** It calls the outside. With a store, keys whose calls fail are queued there. */
  readonly calls?: true;
  /** Takes what the pipeline decides for all its operators. */
  settle?(node: PlanNode, retry: RetryPolicy | undefined): Operation;
  /** Problems of its own, once its graph is drawn. */
  problems?(node: PlanNode, nodes: readonly PlanNode[]): MillraceError[];
  /**
   * How its results come out again, at best; left out where they are as exact as what comes in. in-order: exact where one
   * partition of a source gives the order. The others with the reason.
   */
  readonly comesOut?: "in-order" | readonly [of: "final" | "arrival", why: string];
  /** It, and its facts, where records come in no order: through a topic between parts, or from several sources. */
  readonly unordered?: { readonly operation: Operation; readonly facts: OperatorFacts };
  /** The order of records does not change its results. */
  readonly anyOrder?: boolean;
  /** The windows of its store, whose entries mean something else under others. */
  windows?(operation: Operation): StoredWindows;
  /** The facts that a plan shows, beside topic, table and store. */
  details?(operation: Operation): Readonly<Record<string, string>>;
}

/** Operators in front of which the records of a batch queue: those with state or calls. */
export const needsBatch = ({ facts, operation }: PlanNode): boolean =>
  facts.calls === true || storesOf(operation).length > 0;

/** Operators whose failing keys are queued in their store. */
export const queuesKeys = ({ facts, operation }: PlanNode): boolean =>
  facts.calls === true && operation.store !== undefined;

/** Operators that ask for a watermark. An operator whose keys are deleted forgets their times by it. */
export const usesTime = ({ facts, operation }: PlanNode): boolean =>
  facts.usesTime === true || (facts.deletes === true && operation.store !== undefined);

/** Whether one part of the pipeline writes the topic for another: its records carry ages. */
export const isBetween = ({ parts }: Pick<Plan, "parts">, topic: TopicName): boolean =>
  parts.some(({ sources }) =>
    sources.some(({ name, internal }) => name === topic && internal === "repartition"),
  );

/** The topic that a node writes for others to read, or null. */
export const outputOf = ({ facts, operation }: PlanNode): PlanTopic | null =>
  facts.writes === "topic" ? (operation.topic ?? null) : null;

export interface PlanNode {
  readonly id: number;
  /** Operator name; sources and sinks are named by their topic or table. */
  readonly name: string;
  readonly operation: Operation;
  readonly facts: OperatorFacts;
  readonly inputs: readonly number[];
  /** The place of its declaration: file:line. */
  readonly site: string;
}

export interface Part {
  readonly name: string;
  readonly kind: "stream" | "sink";
  readonly group: GroupId;
  /** Inputs come before what they feed. */
  readonly nodes: readonly PlanNode[];
  readonly sources: readonly PlanTopic[];
  readonly partitions: number;
  /** In the order of their operators. */
  readonly stores: readonly PlanStore[];
  /** Nodes in front of which records queue, by the stores that they share; a group comes after what feeds it. */
  readonly groups: readonly (readonly number[])[];
  /** Set in sink parts. */
  readonly table: PlanTable | null;
}

export interface PlanOptions {
  readonly start: "earliest" | "latest" | number;
  readonly onError: "dead-letter" | "halt";
  readonly haltWhen: LetterLimit | "never";
  /** The place of the copies of state, beside their changelogs. */
  readonly state: "redis" | "memory";
  /** Failed redrives after which a letter is parked. */
  readonly redrivesMax?: number;
  /** The default for calls without a policy of their own. */
  readonly retry?: RetryPolicy;
}

/** The topics of a pipeline, by who reads and writes them. */
export interface PlanTopics {
  /** Every one that carries a stream or the changes of a store, in the order of the nodes: the three kinds below. */
  readonly all: readonly PlanTopic[];
  /** Read, and written by others. */
  readonly input: readonly PlanTopic[];
  /** Between two parts, or the changelog of a store: nobody else reads or writes them. */
  readonly internal: readonly PlanTopic[];
  /** Written for others to read. */
  readonly output: readonly PlanTopic[];
  /** Letters and notes: they carry no stream. */
  readonly own: readonly TopicName[];
  /** Topics that need not exist, and are empty until they do (late-topics.ts). */
  readonly late: readonly TopicName[];
}

/** The same topics under other names or settings. */
export const mapTopics = (
  { all, input, internal, output, own, late }: PlanTopics,
  topicOf: (topic: PlanTopic) => PlanTopic,
  nameOf: (own: TopicName) => TopicName = (name) => name,
): PlanTopics => ({
  all: all.map(topicOf),
  input: input.map(topicOf),
  internal: internal.map(topicOf),
  output: output.map(topicOf),
  own: own.map(nameOf),
  late: late.map(nameOf),
});

export interface Plan {
  readonly pipeline: string;
  readonly namespace: string;
  /** SHA-256 of the plan, 12 hex digits: names the version in letters and logs. */
  readonly version: string;
  readonly options: PlanOptions;
  readonly parts: readonly Part[];
  readonly topics: PlanTopics;
  readonly tables: readonly PlanTable[];
  readonly deadLetters: TopicName;
  /** The topic of 0.1.0 for letters that failed again as often as is allowed; today they lie among the others. */
  readonly parked: TopicName;
  /** Brings letters back; partition i of it is read by the tasks of partition i. */
  readonly redrive: TopicName;
  /** The states of letters, compacted. */
  readonly letterStates: TopicName;
  readonly meta: TopicName;
  /** The prefix of its stores' names: namespace and pipeline, or those of a run (`withStores`). */
  readonly storePrefix: string;
  /** Set in the plan of a reprocessor's run: the pipeline that it runs. */
  readonly runOf?: { readonly pipeline: string; readonly run: number };
}
