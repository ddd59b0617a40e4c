// One topic that three pipelines read, each behind another server or call: sums in Redis, rows in Postgres, and a call that
// waits for as long as the file LAGGING_STALL is there.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import {
  avro,
  json,
  minutes,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Entry {
  readonly id: string;
  readonly n: number;
}

const stall = process.env["LAGGING_STALL"] ?? "";
const shape = { key: string, partitions: 1, owner: "tests" };
/** Kept for ever: event times of years ago are older than any retention. */
export const entries: Topic<string, Entry> = topic("entries", {
  ...shape,
  value: json<Entry>(),
  retention: "forever",
});
const answers = topic("answers", { ...shape, value: json<Entry>() });
const sums = topic("sums", { ...shape, value: json<number>() });
const entryRows = postgresTable("entry_rows", {
  row: avro<Entry>({
    type: "record",
    name: "Entry",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

async function ask(entry: Entry): Promise<Entry> {
  while (existsSync(stall)) await delay(50);
  return entry;
}

export const calling: Pipeline = pipeline("calling", ({ from }) => {
  from(entries)
    .mapAsync("ask", ask, { concurrency: 4, timeout: minutes(10) })
    .to(answers);
});
export const summing: Pipeline = pipeline("summing", ({ from }) => {
  from(entries)
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
});
export const storing: Pipeline = pipeline("storing", ({ from }) => {
  from(entries).upsertInto(entryRows);
});

export const pipelines = [calling, summing, storing];
export const tables = [entryRows];
