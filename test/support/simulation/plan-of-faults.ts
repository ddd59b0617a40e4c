// What befalls a run, drawn from its seed: each fault waits for the nth call of its kind since its stage began, and then
// strikes at exactly that await point.
import type { Draw, FlowSpec, Node, SimulationCase } from "./case.ts";

export type FaultKind =
  | "crash"
  | "crash after"
  | "freeze"
  | "leave"
  | "join"
  | "rebalance"
  | "lose request"
  | "lose reply"
  | "late effect"
  | "slow call"
  | "kafka away"
  | "redis away"
  | "postgres away"
  | "registry away"
  | "late markers"
  | "batch again"
  | "batch missing"
  | "compaction"
  | "wipe"
  | "older snapshot"
  | "tail lost"
  | "looks old"
  | "postgres failover"
  | "deadlock"
  | "clock forward"
  | "clock back";

export interface Fault {
  readonly kind: FaultKind;
  readonly stage: number;
  /** Calls that count: a server (kafka, redis, postgres, registry, clock), perhaps `/call`; empty for all. */
  readonly on: string;
  readonly nth: number;
  /** How long it lasts, or when it is over. */
  readonly ms: number;
  /** What else the kind has to choose. */
  readonly arg: number;
  /** Only calls of the worker that came last, if one has come since the beginning. */
  readonly who?: "newest";
}

type Shape = readonly [kind: FaultKind, weight: number, on: readonly string[]];

const kafkaCalls = ["commit", "commit", "commit", "send", "sendOffsets", "init", "committed"];
const onKafka = [...kafkaCalls.map((call) => `kafka/${call}`), "kafka", "kafka/read"];
const any = ["", "", "kafka", "kafka/commit", "kafka/sendOffsets", "kafka/committed"];

const always: readonly Shape[] = [
  ["crash", 4, any],
  ["crash after", 4, ["kafka", "kafka/commit", "kafka/commit", "kafka/send", "kafka/init"]],
  ["freeze", 5, [...any, "kafka/send", "kafka/commit"]],
  ["leave", 2, ["", "kafka"]],
  ["join", 3, ["", "kafka"]],
  ["rebalance", 4, any],
  ["lose request", 3, onKafka],
  ["lose reply", 4, onKafka],
  ["slow call", 4, [...onKafka, ""]],
  ["kafka away", 2, any],
  ["late markers", 5, ["kafka/commit", "kafka/sendOffsets"]],
  ["batch again", 3, ["", "kafka"]],
  ["batch missing", 2, ["", "kafka"]],
  ["clock forward", 1, [""]],
  ["clock back", 1, [""]],
];

const inRedis = ["redis", "redis/apply", "redis/apply", "redis/read", "redis/read"];
const anyState = ["", "redis", "redis/apply", "redis/read", "kafka/commit"];
const ofState: readonly Shape[] = [
  ["crash after", 2, inRedis],
  ["crash", 1, inRedis],
  ["freeze", 3, inRedis],
  ["lose request", 2, [...inRedis, "redis/position", "redis/finish"]],
  ["lose reply", 3, [...inRedis, "redis/finish", "redis/put"]],
  ["late effect", 4, ["redis/apply", "redis/apply", "redis/finish"]],
  ["slow call", 3, inRedis],
  ["redis away", 2, anyState],
  ["wipe", 4, anyState],
  ["older snapshot", 4, anyState],
  ["tail lost", 4, anyState],
  ["looks old", 2, anyState],
  ["compaction", 3, anyState],
];
const ofMemory: readonly Shape[] = [["compaction", 3, ["", "kafka"]]];

const inPostgres = ["postgres", "postgres/commit", "postgres/commit", "postgres/upsert"];
const ofTables: readonly Shape[] = [
  ["crash after", 3, inPostgres],
  ["crash", 2, inPostgres],
  ["freeze", 4, [...inPostgres, "postgres/owed", "postgres/takeOver", "kafka/produce"]],
  ["lose request", 3, [...inPostgres, "postgres/takeOver", "postgres/forget", "kafka/produce"]],
  ["lose reply", 4, [...inPostgres, "postgres/takeOver", "postgres/forget", "kafka/produce"]],
  ["slow call", 3, inPostgres],
  ["postgres away", 3, ["", "postgres"]],
  ["postgres failover", 4, ["", "postgres", "kafka", "kafka/commitOffsets"]],
  ["deadlock", 2, ["postgres/upsert", "postgres/advance"]],
];
const ofAvro: readonly Shape[] = [
  ["registry away", 6, ["", "registry"]],
  ["lose request", 2, ["registry"]],
  ["slow call", 1, ["registry"]],
];

const has = (nodes: readonly Node[], test: (node: Node) => boolean): boolean =>
  nodes.some((node) => test(node) || has(node.then, test));
const stateful = /^(distinct|state|aggregate|reduce|count|sum|min|max|avg)$/;
export const hasState = ({ roots }: FlowSpec): boolean => has(roots, ({ op }) => stateful.test(op));
export const hasTable = ({ roots, direct }: FlowSpec): boolean =>
  direct !== null || has(roots, ({ op }) => op === "table");

export function drawFaults(
  draw: Draw,
  { flow, sizes, stages }: Omit<SimulationCase, "seed" | "faults">,
): Fault[] {
  if (draw.chance(0.04)) return [];
  const shapes = [
    ...always,
    ...(hasState(flow) ? (flow.state === "redis" ? ofState : ofMemory) : []),
    ...(hasTable(flow) ? ofTables : []),
    ...(flow.format === "avro" ? ofAvro : []),
  ];
  const bag = shapes.flatMap((shape) => Array.from({ length: shape[1] }, () => shape));
  // The last stage is what shows that all is well again.
  const stageOf = (): number => draw.below(Math.max(1, stages.length - 1));
  const alone = Array.from({ length: draw.between(2, 8) }, (): Fault => {
    const [kind, , ons] = draw.pick(bag);
    const on = draw.pick(ons);
    const nth = 1 + draw.few(on.includes("/") ? 6 : on === "" ? 60 : 25);
    return { kind, stage: stageOf(), on, nth, ms: draw.pick(SPANS_MS), arg: draw.below(1_000) };
  });
  return draw.chance(0.5) ? [...alone, ...together(draw, { flow, sizes }, stageOf())] : alone;
}

/** Some more, of the state of an operator that was drawn behind the others. */
export function drawFaultsOfState(
  draw: Draw,
  { flow, stages }: Pick<SimulationCase, "flow" | "stages">,
): Fault[] {
  if (flow.state !== "redis" || hasState(flow)) return [];
  return Array.from({ length: draw.below(3) }, (): Fault => {
    const [kind, , ons] = draw.pick(ofState);
    const on = draw.pick(ons);
    const [stage, nth] = [draw.below(Math.max(1, stages.length - 1)), 1 + draw.few(8)];
    return { kind, stage, on, nth, ms: draw.pick(SPANS_MS), arg: draw.below(1_000) };
  });
}

const SPANS_MS = [5, 40, 120, 300, 700, 1_300, 2_500];

/** Faults that are worst in company. */
function together(
  draw: Draw,
  { flow, sizes }: Pick<SimulationCase, "flow" | "sizes">,
  stage: number,
): Fault[] {
  const [ms, arg, nth] = [draw.pick(SPANS_MS), draw.below(1_000), 1 + draw.below(3)];
  const at = { stage, ms, arg, nth };
  // Progress still names the owner before: nobody fences the newcomer by its name.
  const newcomer = (): Fault[] => {
    const kind = draw.pick(["freeze", "freeze", "freeze", "freeze", "crash after"] as const);
    const on = draw.pick(["kafka/send", "kafka/sendOffsets", "kafka/commit", "kafka/commit"]);
    const early = { ...at, stage: Math.max(0, stage - 1) };
    const first = { ...early, nth: 1 + draw.below(10), kind: "join" as const, on: "" };
    const long = { ms: draw.pick([120, 200, 300, 450]), arg: arg * 3 + 1 };
    return [first, { ...early, ...long, kind, on, nth: 1, who: "newest" }];
  };
  const restarted = (): Fault[] => [
    { ...at, kind: "crash", on: "kafka/commit", ms: 5 },
    { ...at, kind: "lose reply", on: "kafka/commit", nth: nth + 1 },
  ];
  const decided = (): Fault[] => [
    { ...at, kind: "late markers", on: "kafka/commit", ms: ms + 300, arg: draw.pick([0, 3]) },
    {
      ...at,
      kind: draw.pick(["crash after", "rebalance", "join"] as const),
      on: "kafka/commit",
      ms: 5,
    },
  ];
  const undone = (): Fault[] => [
    { ...at, kind: "postgres failover", on: "kafka/commitOffsets", nth: nth + 1 },
    { ...at, kind: draw.pick(["rebalance", "crash"] as const), on: "kafka", nth: 5 + nth },
  ];
  const restored = (): Fault[] => [
    { ...at, kind: "older snapshot", on: "redis/read" },
    { ...at, kind: draw.pick(["freeze", "slow call"] as const), on: "redis/apply" },
  ];
  const isRoom = sizes.workers < 3 && flow.partitions > 1;
  const kinds = isRoom ? [newcomer, newcomer, newcomer, decided] : [restarted, decided];
  if (hasState(flow)) kinds.push(decided, ...(flow.state === "redis" ? [restored] : []));
  if (hasTable(flow)) kinds.push(undone);
  return draw.pick(kinds)();
}
