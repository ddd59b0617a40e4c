// Fills the copies that a run reads instead of a topic: from a file, as `produce --file` would, or from the dead letters.
import { flawlessRows } from "../../data/keyed-rows.ts";
import { sendAll } from "../../data/send.ts";
import type { Plan } from "../../engine/core/plan.ts";
import { stagingTopic } from "../../engine/reprocess/plan/shadow.ts";
import { fillFromLetters } from "../../engine/reprocess/run/letters.ts";
import type { Fill } from "../../engine/reprocess/run/prepare.ts";
import type { RunRow, RunSource } from "../../engine/reprocess/words/run.ts";
import { grouped, progress } from "../progress.ts";
import { writingCodecs } from "../topic-codecs.ts";
import type { Reprocessing } from "./connection.ts";

/** Null for a run that reads Kafka as it is. */
export function fillOf(plan: Plan, { run, options }: RunRow, at: Reprocessing): Fill | null {
  const { source } = options;
  if (source.kind === "kafka") return null;
  if (source.kind === "file") return (shadow) => fillFromFile(shadow, source, run, at);
  return async (shadow) => {
    const sent = await fillFromLetters(plan, shadow, at.ports);
    at.io.err(`${grouped(sent)} open dead letters`);
  };
}

async function fillFromFile(
  shadow: Plan,
  source: Extract<RunSource, { kind: "file" }>,
  run: number,
  { io, ports }: Reprocessing,
): Promise<void> {
  const { kafka, clock, registry } = ports;
  const name = stagingTopic(source.topic, run);
  const topic = shadow.topics.all.find((one) => one.name === name);
  if (topic === undefined) throw new TypeError(`the run has no topic ${name}`);
  const producer = kafka.producer();
  const bar = progress(io, clock, { done: "copied", total: null });
  try {
    const target = { topic: name, partitions: topic.partitions, producer };
    const codecs = await writingCodecs(topic, registry);
    const records = flawlessRows(source.path, topic, source.key);
    const how = { clock, perSecond: null, onSent: (n: number) => bar.add(n) };
    await sendAll(records, { ...target, ...codecs }, how);
  } finally {
    bar.end();
    await producer.close();
  }
}
