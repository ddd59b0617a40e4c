// A graph as the engine's users would write it.
import {
  hopping,
  json,
  milliseconds,
  pipeline,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Stream,
  type Topic,
  type WindowedTable,
  type WindowOf,
} from "#engine";
import type { Flow } from "../simulation/flow.ts";
import type { Graph, GraphNode } from "./graph.ts";
import { copiesOf, keyFor } from "./values.ts";

interface Value {
  readonly n: number;
}
type Values = Stream<string, Value>;
type WindowNode = Extract<GraphNode, { kind: "window" }>;

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
    const streams: Values[] = [];
    const windows = new Map<number, WindowedTable<string, number, Value>>();
    for (const [i, node] of nodes.entries())
      if (node.kind === "source") streams.push(from(sources[node.topic] as Topic<string, Value>));
      else if (node.kind === "late")
        streams.push((windows.get(node.of) as WindowedTable<string, number, Value>).late);
      else if (node.kind === "window") {
        const sums = windowed(streams[node.of] as Values, node, `n${String(i)}`);
        windows.set(i, sums);
        streams.push(sums.toStream(`n${String(i)}-rows`, (n) => ({ n })));
      } else
        streams.push(step(streams, node, { name: `n${String(i)}`, width: partitions[i] ?? 1 }));
    for (const [at, i] of outputs.entries())
      (streams[i] as Values).to(topics[at] as Topic<string, Value>);
  });
  drawn.plan();
  const named = new Map(topics.map((output) => [output.name, output]));
  return { pipeline: drawn, sources, outputs: named } as unknown as Flow;
}

function step(
  streams: readonly Values[],
  node: Exclude<GraphNode, { kind: "source" | "late" | "window" }>,
  { name, width }: { readonly name: string; readonly width: number },
): Values {
  const stream = streams[node.of] as Values;
  if (node.kind === "key")
    return stream.rekey(name, ({ n }) => keyFor(n, node), { partitions: width });
  if (node.kind === "flat") return stream.flatMap(name, (value) => copiesOf(value, node.salt));
  return stream.merge(name, streams[node.with] as Values);
}

const windowed = (stream: Values, node: WindowNode, name: string) =>
  stream
    .groupByKey()
    .windowedBy(windowOf(node))
    .sum(name, ({ n }) => n, { emit: "close" });

function windowOf({ window, grace: graceMs }: WindowNode): WindowOf {
  const grace = milliseconds(graceMs);
  if (window.kind === "session") return session({ gap: milliseconds(window.gap), grace });
  if (window.kind === "sliding")
    return sliding({ difference: milliseconds(window.difference), grace });
  const [size, advance] = [milliseconds(window.size), milliseconds(window.advance)];
  return window.size === window.advance
    ? tumbling({ size, grace })
    : hopping({ size, advance, grace });
}
