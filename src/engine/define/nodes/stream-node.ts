// The place of a graph behind Stream. Its methods are those of the operators (operators/table.ts).
import type { Operation, OperatorFacts } from "../../core/plan.ts";
import type { Stream } from "../stream.ts";
import type { Graph } from "./graph.ts";

/** The one implementation of {@link Stream}: a place in the graph. */
export class StreamNode<K, V> {
  readonly graph: Graph;
  readonly id: number;

  constructor(graph: Graph, id: number) {
    this.graph = graph;
    this.id = id;
  }

  /** The place behind an operator that takes this one, and another. */
  next<R = V, K2 = K>(
    name: string,
    operation: Operation,
    facts: OperatorFacts,
    other?: unknown,
  ): StreamPlace<K2, R> {
    const inputs = other === undefined ? [this.id] : [this.id, (other as StreamNode<K, V>).id];
    const id = this.graph.add(name, operation, facts, inputs);
    return new StreamNode(this.graph, id) as StreamPlace<K2, R>;
  }
}

/** With the operators of the table. */
export type StreamPlace<K, V> = StreamNode<K, V> & Stream<K, V>;

/** A method of streams; the operator's own file says how a user calls it. */
export type Method = (
  this: StreamNode<unknown, unknown>,
  name: string,
  ...given: never[]
) => unknown;

/** The method that adds an operator. */
export const operator = <Given extends readonly unknown[]>(
  facts: OperatorFacts,
  operationOf: (name: string, ...given: Given) => Operation,
): Method =>
  function add(name, ...given) {
    return this.next(name, operationOf(name, ...(given as unknown as Given)), facts);
  };
