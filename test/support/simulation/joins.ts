// Joins of two streams, on the source and behind a new key that all partitions share: pairs, and records without a partner,
// depend on no batch, crash, takeover or order of tasks.
import { milliseconds, type JoinOptions, type Stream, type Topic } from "#engine";
import type { Plan } from "../../../src/engine/core/plan.ts";
import type { RawRecord, TopicName } from "../../../src/engine/core/record.ts";
import type { Draw, FlowSpec, Node, SimulationCase, Stage } from "./case.ts";
import { entriesDue } from "./timers.ts";
import { mod, numberOf, type Value } from "./values.ts";
import { lastWatermarks } from "./windows.ts";

/** The name of the operator, and of its store. */
export const JOIN = "join";
/** As if it were a node of its own. */
export const LATE_PAIRS = `${JOIN}-late`;
const GROUP = "join-group";
const SHARE = 0.2;

const KINDS = ["join", "leftJoin", "outerJoin"] as const;
export const kindIn = ({ by }: Node): (typeof KINDS)[number] => KINDS[mod(by, 3)] ?? "join";

const SPANS = [
  { before: 0, after: 700, grace: 500 },
  { before: 900, after: 300, grace: 1_500 },
  { before: 400, after: 400, grace: 0 },
] as const;
export const spanIn = ({ by }: Node): (typeof SPANS)[number] =>
  SPANS[mod(Math.floor(by / 3), 3)] ?? SPANS[0];

/** A record may be of both sides, or of none. */
export const isLeft = ({ n }: Value): boolean => mod(Math.floor(n), 3) !== 0;
export const isRight = ({ n }: Value): boolean => mod(Math.floor(n), 2) === 0;

export const paired = (left: Value | null, right: Value | null): Value => ({
  i: `${left?.i ?? "-"}&${right?.i ?? "-"}`,
  n: (left === null ? 0 : numberOf(left)) + (right === null ? 0 : numberOf(right)),
  ...{ g: "", v: 0 },
});

type Values = Stream<string | null, Value>;

/** What is late goes to a topic. */
export function drawJoin(
  stream: Values,
  node: Node,
  lateTopic: () => Topic<string | null, Value>,
): Values {
  const { before, after, grace } = spanIn(node);
  const options: JoinOptions = {
    before: milliseconds(before),
    after: milliseconds(after),
    grace: milliseconds(grace),
  };
  const left = stream.filter(`${node.id}-left`, (value: Value): boolean => isLeft(value));
  const right = stream.filter(`${node.id}-right`, (value: Value): boolean => isRight(value));
  const pairs = left[kindIn(node)](node.id, right, paired, options);
  pairs.lateLeft.merge(`${node.id}-both`, pairs.lateRight).to(lateTopic());
  return pairs;
}

/** The case again, some of them with a join on the source, or behind a shared key. */
export function withJoins(
  draw: Draw,
  drawn: { readonly flow: FlowSpec; readonly stages: readonly Stage[] },
): { flow: FlowSpec; stages: readonly Stage[] } {
  const { flow, stages } = drawn;
  if (flow.sources > 1 || flow.salt !== undefined || !draw.chance(SHARE)) return drawn;
  const end: Node = { id: `${JOIN}-end`, op: "to", by: 0, then: [] };
  const join: Node = { id: JOIN, op: "join", by: draw.below(9), then: [end] };
  const group: Node = { id: GROUP, op: "group-shared", by: draw.below(4), then: [join] };
  const root = draw.chance(0.5) ? join : group;
  return { flow: { ...flow, roots: [...flow.roots, root] }, stages };
}

/** The join of a flow, and whether it stands behind a shared key. */
export function joinIn({ roots }: FlowSpec): { node: Node; isGrouped: boolean } | null {
  const direct = roots.find(({ id }) => id === JOIN);
  if (direct !== undefined) return { node: direct, isGrouped: false };
  const [node] = roots.find(({ id }) => id === GROUP)?.then ?? [];
  return node === undefined ? null : { node, isGrouped: true };
}

/** Whether something waits for a partner that cannot come any more. */
export function areJoinsOpen(
  of: SimulationCase,
  plan: Plan,
  entriesOf: (topic: TopicName) => readonly RawRecord[],
): boolean {
  const join = joinIn(of.flow);
  if (join === null) return false;
  const last = lastWatermarks(of, join.isGrouped);
  const dues = entriesDue(plan, JOIN, entriesOf);
  return dues.some(({ partition, dueMs }) => dueMs < (last[partition] ?? -Infinity));
}
