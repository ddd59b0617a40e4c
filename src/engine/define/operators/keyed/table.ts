// Table: the stream of an aggregate's changes.
import { suppressed, type SuppressOptions } from "./suppress.ts";
import { guide } from "../../nodes/missing.ts";
import type { OperatorFacts } from "../../../core/plan.ts";
import { tableFiltering, type Filter } from "../../../transform/stateless/filter.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import type { Fn, Stream } from "../../stream.ts";
import type { RowTarget } from "../../table.ts";
import type { TopicTarget } from "../../topic.ts";

const filtering: OperatorFacts = { work: tableFiltering, deletes: true };

/** A table has one value for each key, and is a stream of its changes; a deleted key is a tombstone. */
export class Table<K, V> {
  readonly #changes: StreamPlace<K, V>;

  constructor(changes: Stream<K, V>) {
    this.#changes = changes as StreamPlace<K, V>;
  }

  /** `map("rounded", (v) => v.round(2))` */
  map<R>(name: string, fn: Fn<K, V, R>): Table<K, R> {
    return new Table(this.#changes.map(name, fn));
  }

  /**
   * Keys whose value does not pass are deleted downstream: a tombstone for each, also where there was nothing. A Postgres
   * table cannot delete yet, so one behind a filter is refused when the pipeline is built.
   * `filter("active", (v) => v.orders > 0)`
   */
  filter(name: string, test: Fn<K, V, boolean>): Table<K, V> {
    const operation: Filter = { kind: "table-filter", test: test as never };
    return new Table(this.#changes.next(name, operation, filtering));
  }

  /**
   * The last change of a key within a span of event time goes on, with its own time; the number of keys that wait is bounded.
   * `suppress("hourly", { for: hours(1), recordsMax: records(10_000), whenFull: "emit" })`
   */
  suppress(name: string, options: SuppressOptions): Table<K, V> {
    return new Table(suppressed(this.#changes, name, options));
  }

  /** The changes as records. */
  toStream(): Stream<K, V> {
    return this.#changes;
  }

  /** A deleted key is a tombstone. */
  to(topic: TopicTarget<K, V>): void {
    this.#changes.to(topic);
  }

  /** Writes rows into a Postgres table; the row of a deleted key stays, and is counted as `tombstone`. */
  upsertInto(table: RowTarget<V>): void {
    this.#changes.upsertInto(table);
  }
}

guide("a table", Table);
