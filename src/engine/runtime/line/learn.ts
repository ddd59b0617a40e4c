// A lot is decoded when this is known: whether its values have a structure that this code reads, and the schemas of
// their writers. Both are waited for; a letter that comes back is not, since it would hold up everything behind it.
import type { RawRecord, TopicName } from "../../core/record.ts";
import type { WorkerContext } from "../context.ts";
import type { Kept } from "../../transform/calls/parked.ts";
import { persist } from "../failure.ts";
import { sourceOf, type BoundPart } from "./bind.ts";
import { headOf, type Lot } from "./lots.ts";
import { unknownIds } from "./process.ts";

export interface Learner {
  readonly context: WorkerContext;
  readonly signal: AbortSignal;
  onWaiting(why: string | null): void;
}

/**
 * The lot, or the part of it in front of a value that must be waited for, and what is left: the first may be decoded in the
 * same turn. Nothing is waited for behind values that can be read: whoever may not read on must be able to work off these.
 */
export async function learn(
  bound: BoundPart,
  lot: Lot,
  learner: Learner,
): Promise<readonly [Lot, ...Lot[]]> {
  if (lot.records[0]?.redriven !== undefined) await lookForRedriven(bound, lot, learner);
  let unknown = firstUnknown(bound, lot);
  for (; unknown?.at === 0; unknown = firstUnknown(bound, lot))
    await recognise(bound, lot, { id: unknown.id, learner });
  const lots = unknown === null ? ([lot] as const) : headOf(lot, unknown.at);
  const { schemas } = learner.context;
  const ids = (): Set<number> => unknownIds(bound, lots[0], schemas);
  let of = ids();
  if (of.size === 0) return lots;
  for (; of.size > 0; of = ids()) await patiently(learner, "registry", () => schemas.learn(of));
  // A writer's schema may tell that a value belongs to none of the sources.
  return firstUnknown(bound, lots[0]) === null ? lots : learn(bound, lot, learner);
}

/** Whether its first value must be waited for. */
export const mustWait = (bound: BoundPart, lot: Lot): boolean => firstUnknown(bound, lot)?.at === 0;

/** The same for a record that is queued in the store of a step. */
export async function learnQueued(
  bound: BoundPart,
  { store, kept }: { readonly store: string; readonly kept: Kept },
  learner: Learner,
): Promise<void> {
  if (kept.shape !== null && bound.shapes?.isKnown(store, kept.shape) === false)
    await wait(bound, { topic: store, id: kept.shape }, learner);
  if (kept.raw === null) return;
  const { topic, value } = kept.raw;
  const codec = sourceOf(bound.sources, topic).value;
  const { schemas } = learner.context;
  const writer = codec.unknownId(value);
  if (writer !== null) await patiently(learner, "registry", () => schemas.learn([writer]));
  const unknown = (): string | null => codec.unknownShape?.(value) ?? null;
  for (let id = unknown(); id !== null; id = unknown())
    await recognise(bound, { topic }, { id, learner });
}

/** Letters that come back: what their structures are noted as is looked up, and none of them is waited for. */
async function lookForRedriven(bound: BoundPart, lot: Lot, learner: Learner): Promise<void> {
  const codec = bound.sources.get(lot.topic)?.value;
  const ids = new Set(lot.records.map(({ value }) => codec?.unknownShape?.(value) ?? null));
  const topic = notedUnder(bound, lot);
  for (const id of ids)
    if (id !== null && topic !== null)
      await patiently(learner, "kafka", async () => bound.shapes?.look(topic, id));
}

async function recognise(
  bound: BoundPart,
  lot: Pick<Lot, "topic">,
  { id, learner }: { readonly id: string; readonly learner: Learner },
): Promise<void> {
  const topic = notedUnder(bound, lot);
  if (topic !== null) await wait(bound, { topic, id }, learner);
}

/** The name under which structures of the topic's values are noted; null where they are not. */
function notedUnder({ part: { sources } }: BoundPart, { topic }: Pick<Lot, "topic">) {
  const format = (sources.find(({ name }) => name === topic) ?? sources[0])?.value;
  return format?.kind === "carried" ? format.shapes : null;
}

async function wait(
  { shapes }: BoundPart,
  what: { readonly topic: TopicName; readonly id: string },
  learner: Learner,
): Promise<void> {
  const { signal } = learner;
  const onWaiting = (why: string | null): void => learner.onWaiting(why);
  await patiently(learner, "kafka", async () => shapes?.recognise({ ...what, signal, onWaiting }));
}

const patiently = <T>(
  { context, signal, onWaiting }: Learner,
  dependency: string,
  work: () => Promise<T>,
): Promise<T> => persist(context, { dependency, signal, onWaiting }, work);

/** Null when every value can be read. */
function firstUnknown(
  { sources }: BoundPart,
  { topic, records }: Lot,
): { readonly at: number; readonly id: string } | null {
  const codec = sources.get(topic)?.value;
  if (codec?.unknownShape === undefined) return null;
  for (let at = 0; at < records.length; at++) {
    const { value, redriven } = records[at] as RawRecord;
    const id = redriven === undefined ? codec.unknownShape(value) : null;
    if (id !== null) return { at, id };
  }
  return null;
}
