// The places of a graph behind Stream, GroupedStream and Table. Every aggregate is a composition of `aggregate`.
import type { Decimal } from "../../core/decimal.ts";
import type { RecordContext } from "../../core/record.ts";
import type { SchemaFormat } from "../../core/schema.ts";
import {
  addable,
  averageable,
  comparable,
  least,
  meanOf,
  most,
  plus,
  type Fold,
  type Mean,
} from "../operators/fold.ts";
import { isDeclared, type Graph } from "./graph.ts";
import { planTopicOf, repartitionTopic } from "./plan-topic.ts";
import { policyOf } from "../calls/retry.ts";
import { string } from "../schema.ts";
import { storeOf } from "../store.ts";
import type {
  Addable,
  AggregateOptions,
  Aggregation,
  Call,
  CallOptions,
  Comparable,
  DistinctOptions,
  ExpectOptions,
  Fn,
  GroupedStream,
  RekeyOptions,
  StateOptions,
  Stream,
  Table,
  Tests,
} from "../stream.ts";
import type { RowTarget } from "../table.ts";
import type { TopicTarget } from "../topic.ts";

const internal: SchemaFormat = { kind: "tagged-json" };

type AnyFn = (value: unknown, record: RecordContext) => never;

/** The one implementation of {@link Stream}: a place in the graph. */
export class StreamNode<K, V> implements Stream<K, V> {
  readonly #graph: Graph;
  readonly id: number;

  constructor(graph: Graph, id: number) {
    this.#graph = graph;
    this.id = id;
  }

  next<R>(name: string, operation: Parameters<Graph["add"]>[1]): StreamNode<K, R> {
    return new StreamNode<K, R>(this.#graph, this.#graph.add(name, operation, [this.id]));
  }

  map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R> {
    return this.next(name, { kind: "map", fn: fn as AnyFn });
  }

  flatMap<R>(name: string, fn: Fn<K, V, Iterable<R>>): Stream<K, R> {
    return this.next(name, { kind: "flat-map", fn: fn as AnyFn });
  }

  filter<S extends V>(name: string, test: Fn<K, V, boolean>): Stream<K, S> {
    return this.next(name, { kind: "filter", test: test as AnyFn });
  }

  peek(name: string, fn: Fn<K, V, void>): Stream<K, V> {
    return this.next(name, { kind: "peek", fn: fn as AnyFn });
  }

  expect<S extends V>(name: string, test: Fn<K, V, boolean>, options: ExpectOptions): Stream<K, S> {
    const { otherwise, dimension = null } = options;
    return this.next(name, { kind: "expect", test: test as AnyFn, otherwise, dimension });
  }

  branch<T extends Tests<K, V>>(name: string, tests: T): never {
    const labels = Object.keys(tests);
    const branch = this.next<V>(name, { kind: "branch", tests: Object.values(tests) as AnyFn[] });
    const arms = [...labels, "rest"].map((label, index) => [
      label,
      branch.next<V>(`${name}.${label}`, { kind: "arm", index, label }),
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

  rekey<K2>(
    name: string,
    key: Fn<K, V, K2 | null>,
    options: RekeyOptions<K2, V> = {},
  ): Stream<K2, V> {
    const [own, value] = [(options.key ?? string).format, options.value?.format ?? internal];
    const topic = repartitionTopic(own, value, options.partitions ?? 0);
    return this.next<V>(name, { kind: "repartition", key: key as AnyFn, topic }) as never;
  }

  groupBy<K2>(
    name: string,
    key: Fn<K, V, K2 | null>,
    options: RekeyOptions<K2, V> = {},
  ): GroupedStream<K2, V> {
    return new GroupedNode(this.rekey(name, key, options) as StreamNode<K2, V>);
  }

  groupByKey(): GroupedStream<K, V> {
    return new GroupedNode(this);
  }

  distinct(name: string, { by, within, onRepeat = "drop" }: DistinctOptions<V>): Stream<K, V> {
    const store = storeOf(name, { kind: "tagged-json" }, within);
    const also = onRepeat === "drop" ? {} : { onRepeat: { content: null, ...onRepeat } as never };
    return this.next(name, { kind: "distinct", by: by as never, store, ...also });
  }

  mapWithState<S, R>(
    name: string,
    { state, map, onTombstone }: StateOptions<K, V, S, R>,
  ): Stream<K, R> {
    const store = storeOf(name, state.format);
    const also = onTombstone === undefined ? {} : { onTombstone: onTombstone as never };
    return this.next(name, { kind: "map-with-state", store, map: map as never, ...also });
  }

  mapAsync<R, C>(
    name: string,
    fn: (value: V, call: Call<K, C>) => Promise<R>,
    { client, concurrency, timeout, retry }: CallOptions<C>,
  ): Stream<K, R> {
    if (client !== undefined && !isDeclared(client, "resource"))
      this.#graph.refuse("mapAsync", "a resource(…)", client);
    return this.next(name, {
      kind: "map-async",
      fn: fn as never,
      resource: client ?? null,
      concurrency,
      timeoutMs: timeout.ms,
      retry: retry === undefined ? null : policyOf(retry),
    });
  }

  to(topic: TopicTarget<K, V>): void {
    if (!isDeclared(topic, "topic")) return this.#graph.refuse("to", "a topic(…)", topic);
    this.next(topic.name, { kind: "to", topic: planTopicOf(topic) });
  }

  upsertInto(table: RowTarget<V>): void {
    if (!isDeclared(table, "postgres-table"))
      return this.#graph.refuse("upsertInto", "a postgresTable(…)", table);
    this.next(table.name, { kind: "upsert", table: { name: table.name, declaration: table } });
  }
}

interface Core {
  readonly format: SchemaFormat;
  readonly init: (key: unknown) => unknown;
  readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
}

/** The one implementation of {@link GroupedStream}: a place in the graph whose records lie by the right key. */
export class GroupedNode<K, V> implements GroupedStream<K, V> {
  readonly #source: StreamNode<K, V>;

  constructor(source: StreamNode<K, V>) {
    this.#source = source;
  }

  #aggregate<A>(name: string, core: Core, { emit = "update" }: AggregateOptions): TableNode<K, A> {
    const { format, init, add } = core;
    const store = storeOf(name, format);
    return new TableNode<K, A>(
      this.#source.next<A>(name, { kind: "aggregate", store, init, add, emission: emit }),
    );
  }

  aggregate<A>(name: string, aggregation: Aggregation<K, V, A>): Table<K, A> {
    const { value, init, add } = aggregation as unknown as Aggregation<unknown, unknown, unknown>;
    return this.#aggregate<A>(
      name,
      { format: value.format, init, add: add as Core["add"] },
      aggregation,
    );
  }

  count(name: string, options: AggregateOptions = {}): Table<K, number> {
    const core = { format: internal, init: () => 0, add: (n: unknown) => (n as number) + 1 };
    return this.#aggregate(name, core, options);
  }

  reduce(name: string, fn: (a: V, b: V) => V, options: AggregateOptions = {}): Table<K, V> {
    return this.#folded(name, (value) => value, fn as Fold, options);
  }

  sum<N extends Addable>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    return this.#folded(name, (value) => addable(of(value)) as N, plus, options);
  }

  min<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#folded(name, (value) => comparable(of(value)) as C, least, options);
  }

  max<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#folded(name, (value) => comparable(of(value)) as C, most, options);
  }

  avg<N extends number | Decimal>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    const add = (mean: unknown, value: unknown): Mean => {
      const { sum, count } = mean as Mean;
      const one = averageable(of(value as V)) as N;
      return { sum: sum === null ? one : (plus(sum, one) as N), count: count + 1 };
    };
    const init = (): Mean => ({ sum: null, count: 0 });
    return this.#aggregate<Mean>(name, { format: internal, init, add }, options).map(
      `${name}-mean`,
      (mean) => meanOf(mean) as N,
    );
  }

  /** From the first value on: there is nothing to begin with. */
  #folded<A>(
    name: string,
    of: (value: V) => A,
    fold: Fold,
    options: AggregateOptions,
  ): Table<K, A> {
    const add = (aggregate: unknown, value: unknown): unknown => {
      const one = of(value as V);
      return aggregate === null ? one : fold(aggregate, one);
    };
    return this.#aggregate<A>(name, { format: internal, init: () => null, add }, options);
  }
}

/** The one implementation of {@link Table}: the stream of an aggregate's changes. */
export class TableNode<K, V> implements Table<K, V> {
  readonly #changes: StreamNode<K, V>;

  constructor(changes: StreamNode<K, V>) {
    this.#changes = changes;
  }

  map<R>(name: string, fn: Fn<K, V, R>): Table<K, R> {
    return new TableNode(this.#changes.map(name, fn) as StreamNode<K, R>);
  }

  filter(name: string, test: Fn<K, V, boolean>): Table<K, V> {
    const operation = { kind: "table-filter", test: test as never } as const;
    return new TableNode(this.#changes.next<V>(name, operation));
  }

  toStream(): Stream<K, V> {
    return this.#changes;
  }

  to(topic: TopicTarget<K, V>): void {
    this.#changes.to(topic);
  }

  upsertInto(table: RowTarget<V>): void {
    this.#changes.upsertInto(table);
  }
}
