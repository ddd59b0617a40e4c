// A pipeline is written with streams, whose methods are the operators. Each operator has a file in operators/, which
// adds its method here. Each call adds a node to a graph; nothing runs.
import type { RecordContext } from "../core/record.ts";

/** A callback: the value first, then its record. Pure and synchronous. */
export type Fn<K, V, R> = (value: V, record: RecordContext<K>) => R;
export type Guard<K, V, S extends V> = (value: V, record: RecordContext<K>) => value is S;

/** A stream of keyed records. Names are stable ids: kebab-case, unique in the pipeline. */
export interface Stream<K, V> {
  /** Applies your own operator: a function from stream to stream. `pipe(cleaned)` */
  pipe<S>(compose: (stream: Stream<K, V>) => S): S;
}
