// A copy of a topic to which anybody can write, in two tasks.
import { json, pipeline, string, topic, type Pipeline, type Topic } from "#engine";

const prefix = process.env["TEST_TOPICS"] ?? "bombed";
const shape = { key: string, partitions: 2, owner: "tests" };

export interface Counted {
  readonly n: number;
}

export const input: Topic<string, Counted> = topic(`${prefix}-in`, {
  ...shape,
  value: json<Counted>(),
});
export const output: Topic<string, Counted> = topic(`${prefix}-out`, {
  ...shape,
  value: json<Counted>(),
});
export const copying: Pipeline = pipeline(prefix, ({ from }) => {
  from(input).to(output);
});

export const pipelines = [copying];
export const tables = [];
