// One pipeline without a mistake, whose topics nobody has made.
import { json, pipeline, string, topic } from "#engine";

const declared = { key: string, value: json(), partitions: 1, owner: "tests" };

export const pipelines = [
  pipeline("sound", ({ from }) => {
    from(topic("sound.in", declared)).to(topic("sound.out", declared));
  }),
];
export const tables = [];
