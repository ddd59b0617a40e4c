// Windows behind a topic between parts, whose source has as many partitions as TEST_PARTITIONS says. TEST_TOPICS goes before the
// names, so that two runs never meet on one stack.
import { json, pipeline, seconds, string, topic, tumbling, type Topic } from "#engine";

const prefix = process.env["TEST_TOPICS"] ?? "growing";
const partitions = Number(process.env["TEST_PARTITIONS"] ?? 2);

export const views: Topic<string, number> = topic(`${prefix}.views`, {
  ...{ key: string, value: json<number>(), partitions, owner: "tests" },
  idleAfter: "never",
});
export const rows: Topic<string, number> = topic(`${prefix}.rows`, {
  ...{ key: string, value: json<number>(), partitions: 1, owner: "tests" },
});

export const pipelines = [
  pipeline(`${prefix}-growing`, { state: "memory", start: "latest" }, ({ from }) => {
    from(views)
      .groupBy("all", () => "all", { partitions: 1 })
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("count", { emit: "close" })
      .toStream("row", (n) => n)
      .to(rows);
  }),
];

export const tables = [];
