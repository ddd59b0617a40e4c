// Two streams of different width that hang together by nothing, in one pipeline, out of topics of others: `wide` without a
// word on its settings, `narrow` declared external. TEST_TOPICS goes before the names; TEST_RETENTION_DAYS declares a
// retention of `wide`.
import { days, json, pipeline, string, topic, type Pipeline, type Topic } from "#engine";

export interface Click {
  readonly id: string;
}

const prefix = process.env["TEST_TOPICS"] ?? "others";
const retention = process.env["TEST_RETENTION_DAYS"];
const shape = { key: string, value: json<Click>(), owner: "tests" };

export const wide: Topic<string, Click> = topic(`${prefix}.wide`, {
  ...shape,
  partitions: 4,
  ...(retention === undefined ? {} : { retention: days(Number(retention)) }),
});
export const narrow: Topic<string, Click> = topic(`${prefix}.narrow`, {
  ...{ ...shape, partitions: 2, external: true },
});
export const wideCopy: Topic<string, Click> = topic(`${prefix}.wide-copy`, {
  ...{ ...shape, partitions: 4 },
});
export const narrowCopy: Topic<string, Click> = topic(`${prefix}.narrow-copy`, {
  ...{ ...shape, partitions: 2 },
});

export const both: Pipeline = pipeline(`${prefix}-both`, ({ from }) => {
  from(wide).to(wideCopy);
  from(narrow).to(narrowCopy);
});

export const pipelines = [both];
export const tables = [];
