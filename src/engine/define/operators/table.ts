// The table of operators: each is a file here, whose method a stream has, and a file in transform/, which works it.
import type { PlanTopic } from "../../core/plan.ts";
import type { Graph } from "../nodes/graph.ts";
import { guide } from "../nodes/missing.ts";
import { StreamNode, type StreamPlace } from "../nodes/stream-node.ts";
import type { Stream } from "../stream.ts";
import { mapAsync } from "./calls/map-async.ts";
import { to, upsertInto } from "./ends/sinks.ts";
import { reading, source } from "./ends/source.ts";
import { rekey } from "./ends/rekey.ts";
import { join, leftJoin, outerJoin } from "./joins/stream-join.ts";
import { groupBy, groupByKey } from "./keyed/aggregate.ts";
import { distinct } from "./keyed/distinct.ts";
import { mapWithState } from "./keyed/map-with-state.ts";
import { process } from "./keyed/process.ts";
import { branch } from "./stateless/branch.ts";
import { expect } from "./stateless/expect.ts";
import { filter } from "./stateless/filter.ts";
import { flatMap } from "./stateless/flat-map.ts";
import { map } from "./stateless/map.ts";
import { merge } from "./stateless/merge.ts";
import { peek } from "./stateless/peek.ts";

const operators: Record<keyof Stream<never, never>, unknown> = {
  map,
  flatMap,
  filter,
  peek,
  expect,
  branch,
  merge,
  rekey,
  groupBy,
  groupByKey,
  distinct,
  mapWithState,
  process,
  join,
  leftJoin,
  outerJoin,
  mapAsync,
  to,
  upsertInto,
  pipe<S>(this: S, compose: (stream: S) => unknown) {
    return compose(this);
  },
};
Object.assign(StreamNode.prototype, operators);
guide("a stream", StreamNode);

/** A topic as a stream. */
export const from = <K, V>(graph: Graph, topic: PlanTopic): Stream<K, V> =>
  new StreamNode(graph, graph.add(topic.name, source(topic), reading, [])) as StreamPlace<K, V>;
