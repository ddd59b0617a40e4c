// The knowledge that reading values needs: whether the code fits their structure, and their writers' schemas. A task waits for
// it; for letters that come back it only looks.
import { isResult } from "../../../core/state-results.ts";
import type { TopicName } from "../../../core/record.ts";
import type { NotedShape } from "../../../core/schema.ts";
import type { Kept } from "../../../transform/calls/key-queue.ts";
import type { WorkerContext } from "../../context.ts";
import { persist } from "../../failure.ts";
import { sourceOf, type BoundPart } from "../bind.ts";
import type { Slice } from "../intake.ts";
import { unknownRecord } from "../results.ts";

export interface Learner {
  readonly context: WorkerContext;
  readonly signal: AbortSignal;
  onWaiting(why: string | null): void;
}

/** Resolves when a record that is queued in the store of a step can be read. */
export async function learnQueued(
  bound: BoundPart,
  store: string,
  kept: Kept,
  learner: Learner,
): Promise<void> {
  if (kept.shape !== null && bound.shapes?.isKnown(store, kept.shape) === false)
    await wait(bound, store, kept.shape, learner);
  if (kept.raw === null) return;
  const { topic, value } = kept.raw;
  const codec = sourceOf(bound.sources, topic).value;
  const { schemas } = learner.context;
  const writer = codec.unknownId(value);
  if (writer !== null) await patiently(learner, "registry", () => schemas.learn([writer]));
  const unknown = (): string | null => codec.unknownShape?.(value) ?? null;
  for (let id = unknown(); id !== null; id = unknown()) await recognise(bound, topic, id, learner);
}

/** Waits until it is known that the code fits what a store keeps. */
export const recogniseKept = (
  bound: BoundPart,
  { notedUnder: name, id }: NotedShape,
  learner: Learner,
): Promise<void> => wait(bound, name, id, learner);

/** Letters that come back: what their structures are noted as is looked up, and none of them is waited for. */
export async function lookForRedriven(
  bound: BoundPart,
  slice: Slice,
  learner: Learner,
): Promise<void> {
  if (isResult(slice)) return lookForWaited(bound, slice, learner);
  const codec = bound.sources.get(slice.topic)?.value;
  const ids = new Set(slice.records.map(({ value }) => codec?.unknownShape?.(value) ?? null));
  const topic = notedUnder(bound, slice.topic);
  for (const id of ids)
    if (id !== null && topic !== null)
      await patiently(learner, "kafka", async () => bound.shapes?.look(topic, id));
}

/** The same for records that have waited in a store. */
async function lookForWaited(
  bound: BoundPart,
  { records }: Slice,
  learner: Learner,
): Promise<void> {
  const unknown = records.flatMap((raw) => unknownRecord(bound, raw) ?? []);
  for (const { notedUnder: name, id } of unknown)
    await patiently(learner, "kafka", async () => bound.shapes?.look(name, id));
}

export async function recognise(
  bound: BoundPart,
  source: TopicName,
  id: string,
  learner: Learner,
): Promise<void> {
  const topic = notedUnder(bound, source);
  if (topic !== null) await wait(bound, topic, id, learner);
}

/** The name under which structures of the topic's values are noted; null where they are not. */
function notedUnder({ part: { sources } }: BoundPart, topic: TopicName): TopicName | null {
  const format = (sources.find(({ name }) => name === topic) ?? sources[0])?.value;
  return format?.kind === "carried" ? format.shapes : null;
}

async function wait(
  { shapes }: BoundPart,
  topic: TopicName,
  id: string,
  learner: Learner,
): Promise<void> {
  const onWaiting = (why: string | null): void => learner.onWaiting(why);
  await patiently(learner, "kafka", async () =>
    shapes?.recognise(topic, id, learner.signal, onWaiting),
  );
}

export const patiently = <T>(
  { context, signal, onWaiting }: Learner,
  dependency: string,
  work: () => Promise<T>,
): Promise<T> => persist(context, { dependency, signal, onWaiting }, work);
