// Stream: the operators a pipeline is written with. Each call adds a node to the graph; nothing runs.
import type { RecordContext } from "../core/record.ts";
import type { Schema } from "../core/schema.ts";
import { planTopicOf } from "./plan/plan-topic.ts";
import type { Graph } from "./plan/graph.ts";
import { string } from "./schema.ts";
import type { RowTarget } from "./table.ts";
import type { TopicTarget } from "./topic.ts";

/** A callback: the value first, then its record. Pure and synchronous. */
export type Fn<K, V, R> = (value: V, record: RecordContext<K>) => R;
type Guard<K, V, S extends V> = (value: V, record: RecordContext<K>) => value is S;

/** What an `expect` does with a record that breaks its rule. `otherwise` has no default: it decides correctness. */
export interface ExpectOptions {
  readonly otherwise: "log" | "drop" | "dead-letter" | "halt";
  /** Data-quality dimension, such as "completeness". */
  readonly dimension?: string;
}

export interface RekeyOptions<K2> {
  /** Needed when the new key is no string. */
  readonly key?: Schema<K2>;
  /** Default: as many as the source has. */
  readonly partitions?: number;
}

type Tests<K, V> = Readonly<Record<string, Fn<K, V, boolean>>>;
/** The type that a branch's test narrows to. */
type ArmOf<V, T> = T extends ((value: V, record: never) => value is infer S extends V) ? S : V;

/** A stream of keyed records. Names are stable ids: kebab-case, unique in the pipeline. */
export interface Stream<K, V> {
  /** One value from one value. `map("normalise", (o) => ({ ...o, status: o.status.toLowerCase() }))` */
  map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R>;
  /** None, one or many values from one. `flatMap("lines", (o) => o.lines)` */
  flatMap<R>(name: string, fn: Fn<K, V, Iterable<R>>): Stream<K, R>;
  /** Keeps the records whose test is true; a type guard narrows. `filter("paid", (o) => o.paid)` */
  filter<S extends V>(name: string, test: Guard<K, V, S>): Stream<K, S>;
  filter(name: string, test: Fn<K, V, boolean>): Stream<K, V>;
  /** Looks at each value and changes nothing. `peek("seen", (o) => counter.inc())` */
  peek(name: string, fn: Fn<K, V, void>): Stream<K, V>;
  /** A rule of data quality. `expect("positive", (o) => o.amount.gte(0n), { otherwise: "dead-letter" })` */
  expect<S extends V>(name: string, test: Guard<K, V, S>, options: ExpectOptions): Stream<K, S>;
  expect(name: string, test: Fn<K, V, boolean>, options: ExpectOptions): Stream<K, V>;
  /** Splits by the first test that is true; `rest` takes the others. `branch("by-type", { card: isCard, cash: isCash })` */
  branch<T extends Tests<K, V>>(
    name: string,
    tests: T,
  ): { readonly [Arm in keyof T]: Stream<K, ArmOf<V, T[Arm]>> } & { readonly rest: Stream<K, V> };
  /** Both streams as one; order is kept within each. `cards.merge("payments", cash)` */
  merge<W>(name: string, other: Stream<K, W>): Stream<K, V | W>;
  /** Applies your own operator: a function from stream to stream. `pipe(cleaned)` */
  pipe<S>(compose: (stream: Stream<K, V>) => S): S;
  /** A new key, through a repartition topic; a null key drops the record. `rekey("by-customer", (o) => o.customerId)` */
  rekey<K2 = string>(
    name: string,
    key: Fn<K, V, K2 | null>,
    ...options: string extends K2 ? [RekeyOptions<K2>?] : [RekeyOptions<K2> & { key: Schema<K2> }]
  ): Stream<K2, V>;
  /** Writes to a topic, by the same key. `to(cleanOrders)` */
  to(topic: TopicTarget<K, V>): void;
  /** Writes rows into a Postgres table, exactly once. `upsertInto(factOrders)` */
  upsertInto(table: RowTarget<V>): void;
}

/** Types are stripped, not checked, at run time: a wrong value must still be a clear problem. */
export const isDeclared = (value: unknown, kind: string): boolean =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === kind;

type AnyFn = (value: unknown, record: RecordContext) => never;

/** The one implementation of {@link Stream}: a place in the graph. */
export class StreamNode<K, V> implements Stream<K, V> {
  readonly #graph: Graph;
  readonly id: number;

  constructor(graph: Graph, id: number) {
    this.#graph = graph;
    this.id = id;
  }

  #next<R>(name: string, operation: Parameters<Graph["add"]>[1]): StreamNode<K, R> {
    return new StreamNode<K, R>(this.#graph, this.#graph.add(name, operation, [this.id]));
  }

  map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R> {
    return this.#next(name, { kind: "map", fn: fn as AnyFn });
  }

  flatMap<R>(name: string, fn: Fn<K, V, Iterable<R>>): Stream<K, R> {
    return this.#next(name, { kind: "flat-map", fn: fn as AnyFn });
  }

  filter<S extends V>(name: string, test: Fn<K, V, boolean>): Stream<K, S> {
    return this.#next(name, { kind: "filter", test: test as AnyFn });
  }

  peek(name: string, fn: Fn<K, V, void>): Stream<K, V> {
    return this.#next(name, { kind: "peek", fn: fn as AnyFn });
  }

  expect<S extends V>(name: string, test: Fn<K, V, boolean>, options: ExpectOptions): Stream<K, S> {
    const { otherwise, dimension = null } = options;
    return this.#next(name, { kind: "expect", test: test as AnyFn, otherwise, dimension });
  }

  branch<T extends Tests<K, V>>(name: string, tests: T): never {
    const labels = Object.keys(tests);
    const branch = this.#next<V>(name, { kind: "branch", tests: Object.values(tests) as AnyFn[] });
    const arms = [...labels, "rest"].map((label, index) => [
      label,
      branch.#next<V>(`${name}.${label}`, { kind: "arm", index, label }),
    ]);
    return Object.fromEntries(arms) as never;
  }

  merge<W>(name: string, other: Stream<K, W>): Stream<K, V | W> {
    const inputs = [this.id, (other as StreamNode<K, W>).id];
    return new StreamNode(this.#graph, this.#graph.add(name, { kind: "merge" }, inputs));
  }

  pipe<S>(compose: (stream: Stream<K, V>) => S): S {
    return compose(this);
  }

  rekey<K2>(name: string, key: Fn<K, V, K2 | null>, options: RekeyOptions<K2> = {}): Stream<K2, V> {
    const format = (options.key ?? string).format;
    const topic = {
      name: "",
      key: format,
      value: { kind: "tagged-json" },
      partitions: options.partitions ?? 0,
      timestamp: null,
      internal: "repartition",
      config: {},
      personalData: [],
    } as const;
    const id = this.#graph.add(name, { kind: "repartition", key: key as AnyFn, topic }, [this.id]);
    return new StreamNode<K2, V>(this.#graph, id);
  }

  to(topic: TopicTarget<K, V>): void {
    if (!isDeclared(topic, "topic")) return this.#graph.refuse("to", "a topic(…)", topic);
    this.#next(topic.name, { kind: "to", topic: planTopicOf(topic) });
  }

  upsertInto(table: RowTarget<V>): void {
    if (!isDeclared(table, "postgres-table"))
      return this.#graph.refuse("upsertInto", "a postgresTable(…)", table);
    this.#next(table.name, { kind: "upsert", table: { name: table.name, declaration: table } });
  }
}
