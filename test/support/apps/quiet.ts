// Windows of one second behind topics that fall silent: twelve partitions that are keyed anew, a topic that another pipeline
// writes, and one whose windows are in Redis; and windows on a topic of its own, which tell a test how far the wall clock is for
// the others. TEST_TOPICS goes before the names, so that two runs never meet on one stack.
import {
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Topic,
  type Windowed,
} from "#engine";

export interface View {
  readonly n: number;
  readonly shop: string;
}
export interface ViewRow {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "quiet";
export const IDLE_AFTER_MS = 2_000;
export const SIZE_MS = 1_000;
export const PARTITIONS = 12;

const views = (name: string, partitions: number, writtenBy?: string): Topic<string, View> =>
  topic(`${prefix}.${name}`, {
    ...{ key: string, value: json<View>(), partitions, owner: "tests" },
    ...(writtenBy === undefined ? {} : { writtenBy }),
    idleAfter: { ms: IDLE_AFTER_MS },
  });
const rows = (name: string): Topic<string, ViewRow> =>
  topic(`${prefix}.${name}`, {
    key: string,
    value: json<ViewRow>(),
    partitions: 1,
    owner: "tests",
  });

export const pipelineNames = {
  ...{ rekeyed: `${prefix}-rekeyed`, beats: `${prefix}-beats` },
  ...{ writer: `${prefix}-writer`, reader: `${prefix}-reader` },
  kept: `${prefix}-kept`,
};
export const manyViews: Topic<string, View> = views("many", PARTITIONS);
export const manyRows: Topic<string, ViewRow> = rows("many-rows");
export const beats: Topic<string, View> = views("beats", 1);
export const beatRows: Topic<string, ViewRow> = rows("beat-rows");
export const rawViews: Topic<string, View> = views("raw", 1);
export const cleanViews: Topic<string, View> = views("clean", 1, pipelineNames.writer);
export const cleanRows: Topic<string, ViewRow> = rows("clean-rows");
export const keptViews: Topic<string, View> = views("kept", 1);
export const keptRows: Topic<string, ViewRow> = rows("kept-rows");

const window = tumbling({ size: seconds(SIZE_MS / 1_000), grace: seconds(0) });
const close = { emit: "close" } as const;
const inMemory = { state: "memory" } as const;

const rowOf = (count: number, { key, start, end }: Windowed<string>): ViewRow => ({
  ...{ key, count },
  ...{ start: Number(start), end: Number(end) },
});

const countsOf = (
  name: keyof typeof pipelineNames,
  from_: Topic<string, View>,
  to: Topic<string, ViewRow>,
  options: { readonly state?: "memory" } = inMemory,
) =>
  pipeline(pipelineNames[name], options, ({ from }) => {
    from(from_).groupByKey().windowedBy(window).count("views", close).toStream("row", rowOf).to(to);
  });

/** Every window waits for all twelve. */
export const rekeyed = pipeline(pipelineNames.rekeyed, inMemory, ({ from }) => {
  from(manyViews)
    .groupBy("by-shop", ({ shop }) => shop, { partitions: 1 })
    .windowedBy(window)
    .count("views", close)
    .toStream("row", rowOf)
    .to(manyRows);
});
/** Two parts, so that the walk has a topic between them on its way. */
export const writer = pipeline(pipelineNames.writer, inMemory, ({ from }) => {
  from(rawViews)
    .rekey("by-shop", ({ shop }) => shop, { partitions: 1 })
    .to(cleanViews);
});

export const pipelines = [
  rekeyed,
  countsOf("beats", beats, beatRows),
  writer,
  countsOf("reader", cleanViews, cleanRows),
  countsOf("kept", keptViews, keptRows, {}),
];
export const tables = [];
