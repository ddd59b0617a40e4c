// Shrinks a failing case: leaves out faults, then records, stages' nights and steps of the pipeline, for as long as it
// still fails in some way.
import type {
  FlowSpec,
  Node,
  SimulationCase,
  SourceRecord,
  Stage,
} from "../support/simulation/case.ts";
import { referenceSource } from "../support/simulation/reference.ts";
import { play } from "../support/simulation/simulate.ts";

const leaveable = /^(map|filter|flat|expect|strict|split)$/;

export async function minimise(of: SimulationCase): Promise<SimulationCase> {
  let best = of;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const candidate of smaller(best)) {
      if ((await play(candidate)).failure === null) continue;
      best = candidate;
      isSmaller = true;
      break;
    }
  }
  return best;
}

/** Every case that is one step smaller, the boldest first. */
function* smaller(of: SimulationCase): Iterable<SimulationCase> {
  const { faults, stages, flow, sizes } = of;
  for (let i = 0; i < faults.length; i++)
    yield { ...of, faults: faults.filter((_, at) => at !== i) };
  for (const fewer of fewerRecords(stages)) yield { ...of, stages: fewer };
  for (const roots of simpler(flow.roots)) if (roots.length > 0) yield withRoots(of, roots);
  if (flow.apart !== undefined) yield withoutApart(of);
  if (flow.hasReference === true) yield withoutReference(of);
  if (flow.direct !== null && flow.roots.length > 0)
    yield { ...of, flow: { ...flow, direct: null } };
  if (sizes.workers > 1) yield { ...of, sizes: { ...sizes, workers: sizes.workers - 1 } };
}

const withoutApart = (of: SimulationCase): SimulationCase => {
  const { apart, ...flow } = of.flow;
  const { sources } = flow;
  // The topics behind it move up.
  return withRecords({ ...of, flow }, (record) => {
    if (apart === undefined || record.source < sources) return [record];
    return record.source === sources ? [] : [{ ...record, source: record.source - 1 }];
  });
};

const withoutReference = (of: SimulationCase): SimulationCase => {
  const { hasReference, ...flow } = of.flow;
  return withRecords({ ...of, flow }, (record) =>
    hasReference === true && record.source >= referenceSource(flow) ? [] : [record],
  );
};

function withRecords(
  of: SimulationCase,
  kept: (record: SourceRecord) => readonly SourceRecord[],
): SimulationCase {
  const stages = of.stages.map((stage) => ({ ...stage, records: stage.records.flatMap(kept) }));
  const { before } = of;
  return { ...of, stages, ...(before === undefined ? {} : { before: before.flatMap(kept) }) };
}

const withRoots = (of: SimulationCase, roots: readonly Node[]): SimulationCase => {
  const flow: FlowSpec = { ...of.flow, roots };
  return { ...of, flow };
};

function* fewerRecords(stages: readonly Stage[]): Iterable<readonly Stage[]> {
  for (const [i, stage] of stages.entries()) {
    const { records, night, ...rest } = stage;
    const put = (one: Stage): readonly Stage[] =>
      stages.map((other, at) => (at === i ? one : other));
    if (night !== undefined) yield put({ ...rest, records });
    for (let size = records.length; size >= 1; size = Math.floor(size / 2))
      for (let from = 0; from < records.length; from += size)
        yield put({
          ...stage,
          records: [...records.slice(0, from), ...records.slice(from + size)],
        });
  }
}

/** Yields the flow with one branch or one step less. */
function* simpler(nodes: readonly Node[]): Iterable<readonly Node[]> {
  for (const [i, node] of nodes.entries()) {
    const others = (put: readonly Node[]): readonly Node[] => [
      ...nodes.slice(0, i),
      ...put,
      ...nodes.slice(i + 1),
    ];
    if (nodes.length > 1) yield others([]);
    if (leaveable.test(node.op) && node.then.length > 0) yield others(node.then);
    for (const then of simpler(node.then)) yield others([{ ...node, then }]);
  }
}
