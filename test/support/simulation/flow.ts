// A generated pipeline as the engine's users would write it.
import {
  avro,
  days,
  json,
  nullable,
  pipeline,
  postgresTable,
  seconds,
  string,
  topic,
  type AggregateOptions,
  type Pipeline,
  type PostgresTable,
  type Schema,
  type Stream,
  type Table,
  type Topic,
} from "#engine";
import type { StreamNode } from "../../../src/engine/define/nodes/stream-node.ts";
import type { FlowSpec, Node } from "./case.ts";
import { drawJoin, LATE_PAIRS } from "./joins.ts";
import { drawOperator, type Means } from "./operators/flow.ts";
import type { WallClock } from "./operators/handlers.ts";
import { drawReference, REFERENCE_OUT, referenceSource } from "./reference.ts";
import { timersFacts, timersOf } from "./timers.ts";
import * as fn from "./values.ts";
import type { Row, Value } from "./values.ts";
import { drawWindows, LATE_NODE } from "./windows.ts";

type Values = Stream<string | null, Value>;

const valueFields = [
  { name: "i", type: "string" },
  { name: "n", type: "int" },
  { name: "g", type: "string" },
  { name: "v", type: "int" },
];
const avroValue: Schema<Value> = avro<Value>({
  type: "record",
  name: "Value",
  namespace: "sim",
  fields: valueFields,
});
const rowFields = [
  { name: "id", type: "string" },
  { name: "n", type: "double" },
  { name: "v", type: "int" },
  { name: "i", type: "string" },
];
const row: Schema<Row> = avro<Row>({
  type: "record",
  name: "Row",
  namespace: "sim",
  fields: rowFields,
});

/** What the engine is given of a flow. */
export interface Flow {
  readonly pipeline: Pipeline;
  readonly sources: readonly Topic<string | null, Value>[];
  readonly outputs: ReadonlyMap<string, Topic<string | null, Value>>;
  /** Set by the world in which it is played. */
  readonly wall: WallClock;
}

/** The span of a `distinct`: short only where the order of a key's records does not depend on how tasks interleave. */
export const spanMs = (flow: FlowSpec, isFree: boolean): number =>
  flow.sources === 1 && !isFree ? 3_000 : 86_400_000;

/** Several tasks write under the new key. */
export const frees = ({ partitions, sources }: FlowSpec, { op }: Node): boolean =>
  op === "group-shared" && (partitions > 1 || sources > 1);

/** An aggregate that tells the last change of a checkpoint only; a table would not show what was deleted before. */
export const isHeld = ({ op, by, then }: Node): boolean =>
  /^(count|sum|min|max|avg|aggregate)$/.test(op) &&
  by >= 3 &&
  then.every((next) => next.op === "to" || (next.op === "table" && op !== "aggregate"));

export const outputName = ({ id }: Node): string => `${id}-out`;
export const tableName = ({ id }: Node): string => `${id.replaceAll("-", "_")}_rows`;

export function flowOf(spec: FlowSpec): Flow {
  const { partitions, format } = spec;
  const declare = (name: string, value: Schema<Value>): Topic<string | null, Value> =>
    topic(name, {
      ...{ key: nullable(string), value, partitions, owner: "tests" },
      // Faults and nights take any time.
      idleAfter: "never",
    });
  const source = (name: string, value: Schema<Value>): Topic<string | null, Value> =>
    spec.times === undefined
      ? declare(name, value)
      : topic(name, {
          ...{ key: nullable(string), value, partitions, owner: "tests" },
          timestamp: ({ t }) => t as number,
          idleAfter: "never",
          invalidTimestamp: spec.times.invalid,
        });
  const count = referenceSource(spec) + (spec.hasReference === true ? 2 : 0);
  const sources = Array.from({ length: count }, (_, i) =>
    source(`in-${String(i)}`, format === "avro" ? avroValue : json<Value>()),
  );
  const outputs = new Map<string, Topic<string | null, Value>>();
  const outputOf = (node: Node): Topic<string | null, Value> => {
    const output = declare(outputName(node), json<Value>());
    outputs.set(output.name, output);
    return output;
  };
  const wall: WallClock = { now: () => Infinity };
  const drawing = new Drawing({ flow: spec, wall, outputOf });
  // Some flows refuse nearly everything, and are to come to their end all the same.
  const options = { state: spec.state, haltWhen: "never" } as const;
  const drawn = pipeline("sim", options, ({ from }) => {
    const [first, second] = sources.slice(0, spec.sources).map((source) => from(source));
    if (first === undefined) return;
    const all = second === undefined ? first : first.merge("both", second);
    for (const root of spec.roots) drawing.follow(all, root, false);
    if (spec.direct !== null) drawing.chain(first, spec.direct);
    if (spec.apart !== undefined) {
      const beside = from(sources[spec.sources] as Topic<string | null, Value>);
      for (const root of spec.apart) drawing.follow(beside, root, false);
    }
    const [reference, asking] = sources.slice(referenceSource(spec));
    if (reference !== undefined && asking !== undefined) {
      const output = declare(REFERENCE_OUT, json<Value>());
      drawReference(from(reference, { loadFirst: true }), from(asking), output);
    }
  });
  // Its outputs are known once it was drawn.
  drawn.plan();
  return { pipeline: drawn, sources, outputs, wall };
}

class Drawing {
  readonly #spec: FlowSpec;
  readonly #means: Means;
  readonly #outputOf: Means["outputOf"];

  constructor(means: Means) {
    this.#spec = means.flow;
    this.#means = means;
    this.#outputOf = means.outputOf;
  }

  chain(stream: Values, nodes: readonly Node[]): void {
    let at = stream;
    for (const node of nodes)
      if (node.op === "table") this.#write(at, node);
      else at = this.#step(at, node, false);
  }

  follow(stream: Values, node: Node, isFree: boolean): void {
    if (node.op === "to" || node.op === "table") return this.#write(stream, node);
    const next = this.#step(stream, node, isFree);
    for (const one of node.then) this.follow(next, one, isFree || frees(this.#spec, node));
  }

  #write(stream: Values, node: Node): void {
    if (node.op === "to") return stream.to(this.#outputOf(node));
    const isShared = node.by === 1;
    const table: PostgresTable<Row> = postgresTable<Row>(tableName(node), {
      row,
      key: ["id"],
      ...(isShared ? { version: "v" } : {}),
    });
    stream
      .map(`${node.id}-row`, (value, record) => fn.rowOf(value, record, isShared))
      .upsertInto(table);
  }

  #step(stream: Values, node: Node, isFree: boolean): Values {
    const { id, op, by } = node;
    switch (op) {
      case "map":
        return stream.map(id, (value) => fn.map(value, by));
      case "filter":
        return stream.filter(id, (value: Value): boolean => fn.passes(value, by));
      case "flat":
        return stream.flatMap(id, (value) => fn.copies(value, by));
      case "expect": {
        const rule = (value: Value): boolean => fn.holds(value, by);
        return stream.expect(id, rule, { otherwise: "dead-letter" });
      }
      case "strict":
        return stream.map(id, (value) => fn.strict(value, by));
      case "split": {
        const { even, rest } = stream.branch(id, { even: fn.isEven });
        return even.map(`${id}-even`, fn.doubled).merge(`${id}-both`, rest);
      }
      case "group-own":
        return stream.rekey(id, (_, { key }) => fn.ownKey(key, by)) as Values;
      case "group-shared":
        return stream.rekey(id, (value) => fn.sharedKey(value, by)) as Values;
      case "timers": {
        const node = stream as unknown as StreamNode<string | null, Value>;
        return node.next(id, timersOf(id, by), timersFacts);
      }
      case "windows":
        return drawWindows(stream, node, () => this.#outputOf({ ...node, id: LATE_NODE }));
      case "join":
        return drawJoin(stream, node, () => this.#outputOf({ ...node, id: LATE_PAIRS }));
      case "slides":
      case "calendar":
      case "process":
      case "ordered":
      case "wall":
      case "suppressed":
      case "counted":
      case "bounded":
      case "tail":
        return drawOperator(stream, node, this.#means);
      case "distinct":
      case "state":
      case "aggregate":
      case "reduce":
      case "count":
      case "sum":
      case "min":
      case "max":
      case "avg":
        return this.#stateful(stream, node, isFree);
      case "to":
      case "table":
        throw new TypeError(`nothing follows ${id}`);
    }
  }

  #stateful(stream: Values, node: Node, isFree: boolean): Values {
    const { id, op, by } = node;
    if (op === "distinct") {
      const span = spanMs(this.#spec, isFree);
      const within = span === 86_400_000 ? days(1) : seconds(span / 1_000);
      const onRepeat = fn.tellsConflicts(by)
        ? ({ conflict: "dead-letter", content: fn.contentOf } as const)
        : "drop";
      return stream.distinct(id, { by: (value) => fn.kindOf(value, by), within, onRepeat });
    }
    if (op === "state")
      return stream.mapWithState(id, {
        state: json<number>(),
        map: (state: number | null, value) => fn.step(state, value, by),
        ...(fn.takesTombstones(by)
          ? { onTombstone: (state: number | null, { key }) => fn.ended(state, key ?? "") }
          : {}),
      });
    if (op === "reduce") return stream.groupByKey().reduce(id, fn.reduced).toStream();
    return this.#aggregate(stream, node).toStream().map(`${id}-wrapped`, fn.wrapped);
  }

  #aggregate(stream: Values, node: Node): Table<string | null, number> {
    const { id, op, by } = node;
    const options: AggregateOptions = { emit: isHeld(node) ? "checkpoint" : "update" };
    const group = stream.groupByKey();
    if (op === "count") return group.count(id, options);
    if (op === "sum") return group.sum(id, fn.numberOf, options);
    if (op === "min") return group.min(id, fn.numberOf, options);
    if (op === "max") return group.max(id, fn.numberOf, options);
    if (op === "avg") return group.avg(id, fn.numberOf, options);
    return group.aggregate(id, {
      ...options,
      value: json<number>(),
      init: () => 0,
      add: (sum: number, value) => fn.add(sum, value, by),
    });
  }
}
