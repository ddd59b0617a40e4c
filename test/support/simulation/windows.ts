// Windows on the source, and behind a new key that all partitions share: what they count and when they close depends on no
// batch, crash, takeover or order of tasks.
import { hopping, milliseconds, session, tumbling, type Stream, type Topic } from "#engine";
import type { Plan } from "../../../src/engine/core/plan.ts";
import type { RawRecord, TopicName } from "../../../src/engine/core/record.ts";
import type { AlignedWindow } from "../../../src/engine/core/window-span.ts";
import type { Draw, FlowSpec, Node, SimulationCase, Stage } from "./case.ts";
import { entriesDue } from "./timers.ts";
import { judged } from "./times.ts";
import { mod, numberOf, windowed, type Value } from "./values.ts";

/** The name of the operator, and of its store. */
export const WINDOWS = "windows";
/** As if it were a node of its own. */
export const LATE_NODE = `${WINDOWS}-late`;
const GROUP = "windows-group";
const SHARE = 0.35;

export const windowOf = (by: number): AlignedWindow => {
  const [size, grace] = [milliseconds(1_500 + 500 * mod(by, 3)), milliseconds(700 * mod(by, 4))];
  return mod(by, 2) === 0
    ? tumbling({ size, grace })
    : hopping({ size, advance: milliseconds(500), grace });
};
/** Sessions in the place of windows of one size. */
export const isOfSessions = (by: number): boolean => mod(by, 5) === 4;
export const SESSION = { gapMs: 1_200, graceMs: 1_500 } as const;

/** What is late goes to a topic, or is counted only. */
export const keepsLate = (by: number): boolean => by >= 3;

type Values = Stream<string | null, Value>;

/** The sums of the windows of each key, when they close. */
export function drawWindows(
  stream: Values,
  { id, by }: Node,
  lateTopic: () => Topic<string | null, Value>,
): Values {
  const { gapMs, graceMs } = SESSION;
  const sessions = session({ gap: milliseconds(gapMs), grace: milliseconds(graceMs) });
  const window = isOfSessions(by) ? sessions : windowOf(by);
  const sums = stream.groupByKey().windowedBy(window).sum(id, numberOf, { emit: "close" });
  if (keepsLate(by)) sums.late.to(lateTopic());
  return sums.toStream(`${id}-rows`, (sum, { start }) => windowed(sum, Number(start)));
}

/** The case again, some of them with windows on the source, or behind a shared key. */
export function withWindows(
  draw: Draw,
  drawn: { readonly flow: FlowSpec; readonly stages: readonly Stage[] },
): { flow: FlowSpec; stages: readonly Stage[] } {
  const { flow, stages } = drawn;
  if (flow.sources > 1 || flow.salt !== undefined || !draw.chance(SHARE)) return drawn;
  const end: Node = { id: `${WINDOWS}-end`, op: "to", by: 0, then: [] };
  const windows: Node = { id: WINDOWS, op: "windows", by: draw.below(5), then: [end] };
  const group: Node = { id: GROUP, op: "group-shared", by: draw.below(4), then: [windows] };
  const root = draw.chance(0.5) ? windows : group;
  return { flow: { ...flow, roots: [...flow.roots, root] }, stages };
}

/** The windows of a flow, and whether they stand behind a shared key. */
export function windowsIn({ roots }: FlowSpec): { node: Node; isGrouped: boolean } | null {
  const direct = roots.find(({ id }) => id === WINDOWS);
  if (direct !== undefined) return { node: direct, isGrouped: false };
  const [node] = roots.find(({ id }) => id === GROUP)?.then ?? [];
  return node === undefined ? null : { node, isGrouped: true };
}

/** The watermark in front of an operator of each partition when everything was read. */
export function lastWatermarks(
  { flow, stages }: Pick<SimulationCase, "flow" | "stages">,
  isGrouped: boolean,
): number[] {
  const times = Array.from({ length: flow.partitions }, () => -Infinity);
  for (const record of stages.flatMap((stage) => stage.records)) {
    const time = record.source === 0 && record.isPoison !== true ? judged(flow, record) : null;
    const before = times[record.partition];
    if (time?.isTold === true && before !== undefined)
      times[record.partition] = Math.max(before, time.ms);
  }
  return isGrouped ? times.map(() => Math.min(...times)) : times;
}

/** Whether a window is open that must close. */
export function areWindowsOpen(
  of: SimulationCase,
  plan: Plan,
  entriesOf: (topic: TopicName) => readonly RawRecord[],
): boolean {
  const windows = windowsIn(of.flow);
  if (windows === null) return false;
  const last = lastWatermarks(of, windows.isGrouped);
  const dues = entriesDue(plan, WINDOWS, entriesOf);
  return dues.some(({ partition, dueMs }) => dueMs < (last[partition] ?? -Infinity));
}
