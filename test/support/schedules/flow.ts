// A graph as the engine's users would write it.
import {
  calendar,
  countWindow,
  days,
  hopping,
  json,
  milliseconds,
  pipeline,
  records,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type JoinedStream,
  type JoinOptions,
  type RecordContext,
  type Stream,
  type Topic,
  type WindowedTable,
  type WindowOf,
} from "#engine";
import type { Flow } from "../simulation/flow.ts";
import type { Graph, GraphNode } from "./graph.ts";
import { allOf, behind, chain, copiesOf, keyFor, kindOf, pairOf } from "./values.ts";

interface Value {
  readonly n: number;
}
type Values = Stream<string, Value>;
type WindowNode = Extract<GraphNode, { kind: "window" }>;
type OrderNode = Extract<GraphNode, { kind: "order" }>;
type JoinNode = Extract<GraphNode, { kind: "join" }>;
type Pairs = JoinedStream<string, Value, Value, Value>;

export const outputName = (node: number): string => `out-${String(node)}`;

const declare = (name: string, partitions: number): Topic<string, Value> =>
  topic(name, {
    ...{ key: string, value: json<Value>(), partitions, owner: "tests" },
    // Faults take any time.
    idleAfter: "never",
  });

export function flowOf({ nodes, partitions, outputs }: Graph): Flow {
  const sources = nodes.flatMap((node, i) =>
    node.kind === "source" ? [declare(`in-${String(node.topic)}`, partitions[i] ?? 1)] : [],
  );
  const topics = outputs.map((i) => declare(outputName(i), 1));
  const drawn = pipeline("schedules", ({ from }) => {
    const drawing = new Drawing();
    for (const [i, node] of nodes.entries()) {
      const place = { name: `n${String(i)}`, width: partitions[i] ?? 1 };
      const own = node.kind === "source" ? sources[node.topic] : undefined;
      drawing.add(node, place, own === undefined ? null : from(own));
    }
    for (const [at, i] of outputs.entries())
      drawing.stream(i).to(topics[at] as Topic<string, Value>);
  });
  drawn.plan();
  const named = new Map(topics.map((output) => [output.name, output]));
  const flow = { pipeline: drawn, sources, outputs: named, wall: { now: () => 0 } };
  return flow as unknown as Flow;
}

interface Place {
  readonly name: string;
  readonly width: number;
}

class Drawing {
  readonly #streams: Values[] = [];
  /** By place: what has late records. */
  readonly #lates = new Map<number, readonly [Values, Values]>();

  stream(at: number): Values {
    return this.#streams[at] as Values;
  }

  add(node: GraphNode, place: Place, source: Values | null): void {
    this.#streams.push(
      source ?? this.#drawn(node as Exclude<GraphNode, { kind: "source" }>, place),
    );
  }

  #drawn(node: Exclude<GraphNode, { kind: "source" }>, { name, width }: Place): Values {
    const stream = this.stream(node.of);
    switch (node.kind) {
      case "key":
        return stream.rekey(name, ({ n }) => keyFor(n, node), { partitions: width });
      case "flat":
        return stream.flatMap(name, (value) => copiesOf(value, node.salt));
      case "merge":
        return stream.merge(name, this.stream(node.with));
      case "window":
        return node.isOrdered
          ? this.#rows(chained(stream, node, name), name, ({ before, own }) => chain(before, own))
          : this.#rows(summed(stream, node, name), name, (n) => n);
      case "join":
        return this.#pairs(joined(stream, this.stream(node.with), node, name));
      case "order":
        return inOrder(stream, node, name);
      case "counted":
        return this.#rows(counted(stream, node.size, name), name, (n) => n);
      case "first": {
        const by = ({ n }: Value): number => kindOf(n, node.kinds);
        return stream.distinct(name, { by, within: FOR_EVER });
      }
      case "late":
        return this.#lates.get(node.of)?.[node.side] as Values;
    }
  }

  #rows<A>(
    windows: WindowedTable<string, A, Value>,
    name: string,
    numberOf: (of: A) => number,
  ): Values {
    this.#lates.set(this.#streams.length, [windows.late, windows.late]);
    return windows.toStream(`${name}-rows`, (of) => ({ n: numberOf(of) }));
  }

  #pairs(pairs: Pairs): Values {
    this.#lates.set(this.#streams.length, [pairs.lateLeft, pairs.lateRight]);
    return pairs;
  }
}

function joined(left: Values, right: Values, node: JoinNode, name: string): Pairs {
  const options: JoinOptions = {
    before: milliseconds(node.before),
    after: milliseconds(node.after),
    grace: milliseconds(node.grace),
  };
  const joiner = (l: Value | null, r: Value | null): Value => ({ n: pairOf(l, r) });
  return left[node.how](name, right, joiner, options);
}

/** What a key has seen: the newest time, the sum of its records, and that of all before. */
interface Seen {
  readonly t: number;
  readonly own: number;
  readonly before: number;
}
const NONE_SEEN: Seen = { t: -1, own: 0, before: 0 };

const inOrder = (stream: Values, { pause, grace }: OrderNode, name: string): Values =>
  stream.process(name, {
    state: { seen: json<Seen>() },
    timers: { pause: "event-time" },
    order: { grace: milliseconds(grace) },
    onRecord({ n }, { record: { timestamp: t }, state, timers }) {
      const seen = state.seen.get() ?? NONE_SEEN;
      // Records of one time are summed up in any order.
      const [own, before] = seen.t === t ? [seen.own, seen.before] : [0, seen.before + seen.own];
      state.seen.set({ t, own: own + n, before });
      timers.pause.at(t + pause);
      return [{ n: behind(before, n) }];
    },
    onTimer: {
      pause({ state }) {
        const { own, before } = state.seen.get() ?? NONE_SEEN;
        state.seen.clear();
        return [{ n: allOf(before + own) }];
      },
    },
  });

const counted = (stream: Values, size: number, name: string) =>
  stream
    .groupByKey()
    .windowedBy(countWindow({ size: records(size) }))
    .sum(name, ({ n }) => n, { emit: "close" });

/** Longer than the times of a case. */
const FOR_EVER = days(36_500);

const summed = (stream: Values, node: WindowNode, name: string) =>
  stream
    .groupByKey()
    .windowedBy(windowOf(node))
    .sum(name, ({ n }) => n, { emit: "close" });

/** A number of the records in the order of their times; those of one time are summed up in any order. */
const chained = (stream: Values, node: WindowNode, name: string) =>
  stream
    .groupByKey()
    .windowedBy(windowOf(node))
    .aggregate(name, {
      ...{ value: json<Seen>(), init: () => NONE_SEEN, emit: "close" },
      add({ t, own, before }: Seen, { n }: Value, { timestamp }: RecordContext<string>) {
        if (t === timestamp) return { t, own: own + n, before };
        return { t: timestamp, own: n, before: chain(before, own) };
      },
      // A window of ordered records is put together of nothing.
      merge: (): Seen => {
        throw new Error("merged");
      },
    });

function windowOf({ window, grace: graceMs }: WindowNode): WindowOf {
  const grace = milliseconds(graceMs);
  if (window.kind === "session") return session({ gap: milliseconds(window.gap), grace });
  if (window.kind === "sliding")
    return sliding({ difference: milliseconds(window.difference), grace });
  if (window.kind === "calendar")
    return calendar({ unit: window.unit, timeZone: window.timeZone, grace });
  const [size, advance] = [milliseconds(window.size), milliseconds(window.advance)];
  return window.size === window.advance
    ? tumbling({ size, grace })
    : hopping({ size, advance, grace });
}
