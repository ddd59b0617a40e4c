// Pipelines that stop at a record until what is wrong is mended, while the worker runs; and what is noted of them.
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import type { TaskHealth } from "../../src/engine/observe/health.ts";
import { noteRecord } from "../../src/engine/notes/notes.ts";
import {
  resumeKey,
  resumeText,
  stopKey,
  stopText,
  type StopId,
  type StopNote,
} from "../../src/engine/notes/stop-notes.ts";
import type { CommandResult } from "./command.ts";
import { fleetCommand } from "./fleet-command.ts";
import type { Fleet, FleetMember } from "./fleet.ts";
import { things, type Thing } from "./plans.ts";

/** Records with one of these numbers stop the task, until they are taken out. */
export const wrong = new Set<number>();
const fits = ({ n }: Thing): boolean => !wrong.has(n);
const rule = { otherwise: "halt" } as const;

export const input: Topic<string, Thing> = things("in", 2);
export const output: Topic<string, Thing> = things("out", 2);
export const copy: Pipeline = pipeline("copy", ({ from }) => {
  from(input).expect("fits", fits, rule).to(output);
});
export const rows = postgresTable<Thing>("rows", {
  row: avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});
export const sink: Pipeline = pipeline("sink", ({ from }) => {
  from(input).expect("fits", fits, rule).upsertInto(rows);
});
export const sums: Topic<string, number> = topic("sums", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});
export const summed: Pipeline = pipeline("summed", ({ from }) => {
  from(input)
    .expect("fits", fits, rule)
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});

export const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));

/** The health of the task on one partition of `in`, of whichever part reads it. */
export const taskOn = ({ worker }: FleetMember, partition: number): TaskHealth | undefined =>
  worker.health().find((task) => task.topic === input.name && task.partition === partition);

export const isIn = (member: FleetMember, partition: number, state: TaskHealth["state"]): boolean =>
  taskOn(member, partition)?.state === state;

/** What is noted now, by key. */
export function noted(fleet: Fleet): Map<string, string> {
  const notes = new Map<string, string>();
  for (const { key, value } of fleet.kafka.records(metaOf(fleet), { committed: true }))
    if (value === null) notes.delete(String(key));
    else notes.set(String(key), String(value));
  return notes;
}

const metaOf = ({ plans }: Fleet): string => plans[0]?.meta ?? "";
const atOf = (fleet: Fleet, partition: number) => {
  const part = fleet.plans[0]?.parts[0]?.name ?? "";
  return { part, topic: input.name, partition };
};

export function stopOn(fleet: Fleet, partition: number): StopNote | null {
  const text = noted(fleet).get(stopKey(atOf(fleet, partition)));
  return text === undefined ? null : (JSON.parse(text) as StopNote);
}

/** As a command writes it. */
export const wish = (fleet: Fleet, partition: number, stop: StopId): Promise<void> =>
  write(fleet, resumeKey(atOf(fleet, partition)), resumeText(stop));

/** As a worker writes it. */
export const note = (fleet: Fleet, partition: number, stop: StopNote): Promise<void> =>
  write(fleet, stopKey(atOf(fleet, partition)), stopText(stop));

const write = (fleet: Fleet, key: string, text: string): Promise<void> =>
  fleet.sendRecords([noteRecord(metaOf(fleet), key, text)]);

export const resume = (fleet: Fleet, ...argv: readonly string[]): Promise<CommandResult> =>
  fleetCommand(fleet, resumeVerb, ["resume", ...argv]);

/** How often a task has stopped, by the log. */
export const stops = ({ log }: Fleet): number =>
  log.lines.filter(({ message }) => message.startsWith("the task has stopped")).length;
