// Whether a pipeline has done what was in its own topics. Exact once its groups are empty:
// nobody writes any more, and whoever joins finds the gate shut. Before that the answer only says when it is time to look.
import type { Plan } from "../../core/plan.ts";
import { readProgress } from "../../core/progress.ts";
import { readRange } from "../../core/read-range.ts";
import { SaidTimes } from "../../core/said-times.ts";
import type { KafkaPort } from "../../core/kafka.ts";
import type { GateNote } from "../../notes/gate-note.ts";
import type { OperatePorts } from "../choice.ts";
import { placesOf, redrivePlacesOf, type TaskPlace } from "../places.ts";
import { shutGate } from "./gate.ts";

/** Topics that one of its parts writes and another reads: internal ones, and those of its outputs that it reads itself. */
export function topicsBetweenParts({ parts, topics }: Plan): ReadonlySet<string> {
  const sources = parts.flatMap((part) => part.sources.map(({ name }) => name));
  return new Set(sources).difference(new Set(topics.input.map(({ name }) => name)));
}

/**
 * Whether decided progress is at the end of every topic of its own, the one that brings letters back among them, and everything
 * has closed that closes by it. Markers of commits are no records.
 */
export async function isDrained(plan: Plan, ports: OperatePorts): Promise<boolean> {
  const own = topicsBetweenParts(plan);
  if (!(await isTimely(plan, ports))) return false;
  const places = await placesOf(plan, plan.parts, ports);
  for (const place of places)
    if (own.has(place.topic) && !(await isAtEnd(place, ports.kafka))) return false;
  for (const place of await redrivePlacesOf(plan, plan.parts, ports))
    if (!(await isAtEnd(place, ports.kafka))) return false;
  return true;
}

/** Whether nothing is due, and no watermark is on its way. Queued keys stay in state. */
async function isTimely({ parts, ...plan }: Plan, ports: OperatePorts): Promise<boolean> {
  const progress = await readProgress({ parts, ...plan }, ports);
  const times = new SaidTimes(parts, progress);
  return parts.every(({ name, sources }) =>
    sources.every((source) =>
      progress
        .filter(({ part, topic }) => part === name && topic === source.name)
        .every((at) => times.timeOf(at).left !== "due" && times.isHeard(at, source)),
    ),
  );
}

async function isAtEnd(place: TaskPlace, kafka: Pick<KafkaPort, "reader">): Promise<boolean> {
  const { topic, partition, low, high } = place;
  const from = place.committed ?? low;
  const options = { waits: false, maxWaitMs: 100 };
  let next = from;
  for await (const read of readRange(kafka, { topic, partition, from, to: high }, options)) {
    if (read.records.length > 0) return false;
    next = read.nextOffset;
  }
  return next >= high;
}

const LOOK_MS = 1_000;
/** Workers look at the gate once a second, and commit what they have begun. */
const SEEN_MS = 3_000;
/** A record that goes through several topics may be in none of them for a moment. */
const LOOKS = 3;

/**
 * An operator has a pipeline work off its own topics and take nothing new, so that other code can be deployed with nothing
 * between its parts that it would have to understand. Returns whether everything was worked off in time; the pipeline takes
 * nothing new until it is resumed.
 */
export async function drain(plan: Plan, ports: OperatePorts, waitMs: number): Promise<boolean> {
  const { clock } = ports;
  const note: GateNote = {
    state: "draining",
    by: "operator",
    code: "MILL_GATE_HELD",
    message: "an operator drains it before a deploy",
    atMs: clock.now(),
    owner: `drain of ${plan.pipeline}`,
  };
  await shutGate(plan, note, { ports });
  const until = clock.monotonic() + waitMs;
  await clock.sleep(SEEN_MS);
  for (let times = 0; times < LOOKS; await clock.sleep(LOOK_MS)) {
    times = (await isDrained(plan, ports)) ? times + 1 : 0;
    if (times < LOOKS && clock.monotonic() >= until) return false;
  }
  return true;
}
