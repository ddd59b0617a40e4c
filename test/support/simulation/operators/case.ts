// One operator of time more, by weight, in cases that have no windows, joins or timers: on the source, or behind a new key that
// all partitions share. A case costs little more than without it.
import type { Draw, FlowSpec, Node, Op, SimulationCase, Stage } from "../case.ts";
import { drawFaultsOfState } from "../plan-of-faults.ts";
import { mod } from "../values.ts";
import { stretched } from "./windows/calendar.ts";
import { boundedIn } from "./windows/bounded.ts";
import { countedIn } from "./windows/counted.ts";

/** The name of the operator in front of the others, which gives records their new key. */
export const GROUP_NODE = "operator-group";
const SHARE = 0.8;

interface Kind {
  readonly op: Op;
  readonly weight: number;
  /** It may stand behind a key that partitions share, and its results be the same. */
  readonly canShare: boolean;
  /** Its time is that of its source, so that windows behind it are the same. */
  readonly hasTail: boolean;
  /** What is late is a stream. */
  readonly hasLate: boolean;
}

const KINDS: readonly Kind[] = [
  { op: "slides", weight: 2, canShare: true, hasTail: true, hasLate: true },
  { op: "calendar", weight: 2, canShare: true, hasTail: true, hasLate: true },
  { op: "process", weight: 3, canShare: false, hasTail: true, hasLate: false },
  { op: "ordered", weight: 4, canShare: true, hasTail: true, hasLate: false },
  { op: "wall", weight: 2, canShare: true, hasTail: false, hasLate: false },
  { op: "suppressed", weight: 3, canShare: false, hasTail: true, hasLate: false },
  { op: "counted", weight: 3, canShare: false, hasTail: true, hasLate: true },
];
/** Drawn by itself. */
const BOUNDED: Kind = { op: "bounded", weight: 0, canShare: true, hasTail: true, hasLate: true };

const BAG = KINDS.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));

const kindOf = ({ op }: Node): Kind | undefined =>
  [...KINDS, BOUNDED].find((kind) => kind.op === op);
export const isOperator = (node: Node): boolean => kindOf(node) !== undefined;
/** As if it were a node of its own; null where what is late is counted only. */
export const lateNode = (node: Node): Node | null =>
  kindOf(node)?.hasLate === true && node.by % 2 === 1
    ? { ...node, id: `${node.id}-late`, op: "to" }
    : null;
/** Windows behind it, which show the watermark there. */
export const TAIL = "tail";

type Drawn = Pick<SimulationCase, "flow" | "stages" | "faults">;

/** The case again, some of them with an operator more, and with faults of its state. */
export function withOperator(draw: Draw, drawn: Drawn): Drawn {
  const { flow, stages, faults } = drawn;
  const isTaken = flow.roots.some(({ id }) => /^(windows|join|timers)/.test(id));
  if (flow.sources > 1 || flow.salt !== undefined || isTaken || !draw.chance(SHARE)) return drawn;
  const kind = draw.pick(BAG);
  const { op } = kind;
  // Times in values are near those of Kafka.
  if (op === "calendar" && flow.times !== undefined) return drawn;
  const node: Node = { id: op, op, by: draw.below(60), then: drawFollowers(draw, kind) };
  const root = drawRoot(draw, kind, node);
  return {
    flow: { ...flow, roots: [...flow.roots, root] },
    stages: stages.map((stage) =>
      op === "calendar" ? stretched(flow, stage, node) : onGrid(flow, stage),
    ),
    faults: [...faults, ...drawFaultsOfState(draw, { flow, stages })],
  };
}

function drawRoot(draw: Draw, kind: Kind, node: Node): Node {
  const group: Node = { id: GROUP_NODE, op: "group-shared", by: draw.below(4), then: [node] };
  return canShareIn(kind, node) && draw.chance(0.5) ? group : node;
}

const BOUNDED_SHARE = 0.2;

/** The case again, some of them with windows that have a bound, beside whatever it has. */
export function withBounded(draw: Draw, drawn: Drawn): Drawn {
  const { flow, stages, faults } = drawn;
  const canHave = flow.sources === 1 && flow.salt === undefined && operatorIn(flow) === null;
  if (!canHave || !draw.chance(BOUNDED_SHARE)) return drawn;
  const then = drawFollowers(draw, BOUNDED);
  const node: Node = { id: "bounded", op: "bounded", by: draw.below(60), then };
  const root = drawRoot(draw, BOUNDED, node);
  return {
    flow: { ...flow, roots: [...flow.roots, root] },
    stages: stages.map((stage) => onGrid(flow, stage)),
    faults: [...faults, ...drawFaultsOfState(draw, { flow, stages })],
  };
}

const GRID_MS = 125;

/** Times on a grid, some one ms before it: many are equal, and many at the edge of a window or a timer. */
function onGrid({ sources }: FlowSpec, stage: Stage): Stage {
  const records = stage.records.map((record) => {
    const { source, timestamp: ms } = record;
    const before = mod(ms, GRID_MS) + (mod(ms, 3) === 0 ? 1 : 0);
    return source < sources ? { ...record, timestamp: ms - before } : record;
  });
  return { ...stage, records };
}

/** Records in an order may come from several tasks. Behind a topic nobody knows in front what is late, or what goes on. */
const canShareIn = ({ canShare, op }: Kind, node: Node): boolean =>
  op === "bounded"
    ? boundedIn(node).kind !== "hopping" && lateNode(node) === null && node.then.length === 1
    : canShare || (op === "counted" && countedIn(node).orderMs !== null);

function drawFollowers(draw: Draw, { op, hasTail }: Kind): Node[] {
  const end = (id: string): Node => ({ id: `${id}-end`, op: "to", by: 0, then: [] });
  const tail: Node = { id: `${op}-${TAIL}`, op: TAIL, by: draw.below(4), then: [end(TAIL)] };
  return hasTail && draw.chance(0.5) ? [end(op), tail] : [end(op)];
}

/** The operator of a flow, and whether it stands behind a shared key. */
export function operatorIn({ roots }: FlowSpec): { node: Node; isGrouped: boolean } | null {
  const direct = roots.find(isOperator);
  if (direct !== undefined) return { node: direct, isGrouped: false };
  const [node] = roots.find(({ id }) => id === GROUP_NODE)?.then ?? [];
  return node === undefined ? null : { node, isGrouped: true };
}
