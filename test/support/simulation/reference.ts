// A reference topic that is loaded first, beside one whose records ask for what it says of their keys. Both have records before
// the first worker comes, and get more later. When a later version is seen depends on the schedule; that none is missing that
// was there before the first start does not.
import { json, type Stream, type Topic } from "#engine";
import type { Draw, FlowSpec, SimulationCase, SourceRecord, Stage } from "./case.ts";
import type { Value } from "./values.ts";

/** Of pipelines whose values tell no times and whose brokers take all. */
const SHARE = 0.3;
const START_MS = Date.UTC(2025, 0, 1);

export const REFERENCE_STORE = "r-state";
export const REFERENCE_OUT = "r-out";

type Values = Stream<string | null, Value>;
type Drawn = Pick<SimulationCase, "flow" | "stages" | "before">;

/** The index of the reference topic among the sources; the one that asks comes behind it. */
export const referenceSource = ({ sources, apart }: FlowSpec): number =>
  sources + (apart === undefined ? 0 : 1);

const firstKey = (partition: number, i: number): string => `r${String(i)}-${String(partition)}`;

/** The case again, some of them with a reference topic. */
export function withReference(draw: Draw, drawn: Drawn): Drawn {
  const { flow, stages } = drawn;
  if (flow.salt !== undefined || flow.times !== undefined || !draw.chance(SHARE)) return drawn;
  const source = referenceSource(flow);
  const keys = draw.between(2, 12);
  let made = 0;
  const record = (partition: number, of: "known" | "asks", key: string): SourceRecord => {
    const [i, v] = [`r${String(made)}`, ++made];
    // Whoever asks is older: an order by time would take it first.
    const timestamp = START_MS + made + (of === "known" ? 86_400_000 : 0);
    const value = { i, n: 0, g: "r", v };
    return { source: of === "known" ? source : source + 1, partition, key, timestamp, value };
  };
  const partitions = Array.from({ length: flow.partitions }, (_, i) => i);
  const before = partitions.flatMap((partition) => {
    const all = Array.from({ length: keys }, (_, i) => firstKey(partition, i));
    const known = [...all, ...all].map((key) => record(partition, "known", key));
    return [...known, ...all.map((key) => record(partition, "asks", key))];
  });
  const fuller = (stage: Stage): Stage => {
    const more = Array.from({ length: draw.between(1, 8) }, () => {
      const partition = draw.below(flow.partitions);
      const key = firstKey(partition, draw.below(keys));
      return record(partition, draw.chance(0.4) ? "known" : "asks", key);
    });
    return { ...stage, records: [...stage.records, ...more] };
  };
  return { flow: { ...flow, hasReference: true }, stages: stages.map(fuller), before };
}

/** Each record that asks tells the version that it has seen, -1 where there was none. */
export function drawReference(
  known: Values,
  asks: Values,
  output: Topic<string | null, Value>,
): void {
  const marked =
    (n: number) =>
    (value: Value): Value => ({ ...value, n });
  known
    .map("r-known", marked(1))
    .merge("r-both", asks.map("r-asks", marked(0)))
    .mapWithState(REFERENCE_STORE, {
      state: json<number>(),
      map: (state: number | null, value) =>
        value.n === 1
          ? { state: value.v, emit: [] }
          : { state, emit: [{ ...value, n: state ?? -1 }] },
    })
    .to(output);
}

/** All records of both topics, from first to last. */
const recordsOf = ({ flow, stages, before = [] }: SimulationCase): SourceRecord[] => {
  const source = referenceSource(flow);
  const all = [...before, ...stages.flatMap(({ records }) => records)];
  return flow.hasReference === true ? all.filter((record) => record.source >= source) : [];
};

export const isReference = (flow: FlowSpec, { source }: SourceRecord): boolean =>
  flow.hasReference === true && source >= referenceSource(flow);

/** The last version of each key in the end, and how many records there are of both. */
export function referenceEnd(of: SimulationCase): {
  readonly states: ReadonlyMap<string, number>;
  readonly count: number;
} {
  const records = recordsOf(of);
  return { states: versionsIn(of.flow, records), count: records.length };
}

const versionsIn = (flow: FlowSpec, records: readonly SourceRecord[]): Map<string, number> =>
  new Map(
    records
      .filter(({ source }) => source === referenceSource(flow))
      .map(({ key, value }) => [key ?? "", value?.v ?? -1]),
  );

/** What is wrong with the answers, by key and from first to last: or null. */
export function wrongAnswer(
  of: SimulationCase,
  found: ReadonlyMap<string, readonly (Value | null)[]>,
): string | null {
  const source = referenceSource(of.flow);
  const atStart = versionsIn(of.flow, of.before ?? []);
  const asked = Map.groupBy(
    recordsOf(of).filter((record) => record.source === source + 1),
    ({ key }) => key ?? "",
  );
  for (const [key, records] of asked) {
    const answers = found.get(key) ?? [];
    const [want, is] = [records.map(({ value }) => value?.i), answers.map((one) => one?.i)];
    if (want.join() !== is.join()) return `${key}: asked ${want.join()}, answered ${is.join()}`;
    const early = tooEarly(answers, atStart.get(key) ?? -1);
    if (early !== null) return `${key}: ${early}`;
  }
  return null;
}

function tooEarly(answers: readonly (Value | null)[], atStart: number): string | null {
  let least = atStart;
  for (const { i, n } of answers.filter((one) => one !== null)) {
    if (n < least) return `${i} saw version ${String(n)}, when ${String(least)} was there`;
    least = n;
  }
  return null;
}
