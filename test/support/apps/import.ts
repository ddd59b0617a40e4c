// A topic of grocery lines to import files into; its name is the test's own.
import { pipeline, string, topic } from "#engine";
import { retailLine, type RetailLine } from "../../../schemas/types/retail-line.v1.ts";

const name = process.env["IMPORT_TOPIC"] ?? "import";
const declared = {
  key: string,
  value: retailLine,
  partitions: 4,
  owner: "tests",
  // Kafka counts retention from arrival, since the lines are years old.
  config: { "message.timestamp.type": "LogAppendTime" },
  timestamp: (line: RetailLine) => line.transactionTimestamp,
};

export const pipelines = [
  pipeline(name, ({ from }) => {
    from(topic(`${name}.in`, declared)).to(topic(`${name}.out`, declared));
  }),
];
export const tables = [];
