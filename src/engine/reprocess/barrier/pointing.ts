// Puts the stopped live pipeline on the stores of a run, or back: the stores' pointer and notes in `<pipeline>-meta`, and
// progress that fits them, so that it goes on as if it had filled these stores itself. May be done twice.
import { emptyLedger } from "../../core/ledger.ts";
import type { Progress } from "../../core/kafka.ts";
import { decodeMetadata, encodeMetadata } from "../../core/metadata.ts";
import type { Plan } from "../../core/plan.ts";
import type { OutRecord } from "../../core/record.ts";
import { storesRecord } from "../../notes/gate-note.ts";
import { noteRecord, readNotes, storeKey, type Notes } from "../../notes/notes.ts";
import { shapeNotes, shapeRecord } from "../../notes/shape-notes.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { standKey, standsOf } from "./stands.ts";
import type { Stand } from "../words/steps.ts";

/** What a stream task shall go on with. */
interface Placing {
  readonly stand: Stand;
  readonly nextOffset: bigint;
  /** Of the stores that it goes on with. */
  readonly streamTimeMs: number | null;
}

/** Live goes on where it stood, with the stores of the run. `ends` are those of topics that were added to since. */
export async function pointToRun(
  { plan, shadow, run }: { readonly plan: Plan; readonly shadow: Plan; readonly run: number },
  {
    stands,
    ends,
  }: { readonly stands: readonly Stand[]; readonly ends: ReadonlyMap<string, bigint> },
  ports: OperatePorts,
): Promise<void> {
  const times = await streamTimes(plan, shadow, ports);
  const placings = stands.map((stand): Placing => ({
    stand,
    nextOffset: ends.get(standKey(stand)) ?? stand.nextOffset,
    streamTimeMs: times.get(standKey(stand)) ?? null,
  }));
  await place(plan, placings, ports);
  await noteStores(plan, { from: shadow, run }, ports);
}

/** Back to where it stood, on the stores of before; what lies in its own topics since is done. */
export async function pointBack(
  { plan, storesBefore }: { readonly plan: Plan; readonly storesBefore: number | null },
  stands: readonly Stand[],
  ports: OperatePorts,
): Promise<void> {
  const now = new Map(
    (await standsOf(plan, ports)).flatMap((stand) =>
      stand === null ? [] : [[standKey(stand), stand]],
    ),
  );
  const placings = stands.map((stand): Placing => {
    const streamTimeMs = decodeMetadata(stand.metadata ?? "")?.streamTimeMs ?? null;
    const present = now.get(standKey(stand)) ?? stand;
    const at = stand.isForeign ? stand : present;
    return { stand: at, nextOffset: at.nextOffset, streamTimeMs };
  });
  await place(plan, placings, ports);
  await noteStores(plan, { from: null, run: storesBefore }, ports);
}

/** By the live task: the stream time of the run's. */
async function streamTimes(
  plan: Plan,
  shadow: Plan,
  ports: OperatePorts,
): Promise<ReadonlyMap<string, number>> {
  const stands = (await standsOf(shadow, ports)).filter((stand) => stand !== null);
  const times = stands.map((stand) => {
    const time = decodeMetadata(stand.metadata ?? "")?.streamTimeMs ?? null;
    return [standKey({ ...stand, topic: liveTopic(plan, shadow, stand) }), time] as const;
  });
  return new Map(times.flatMap(([key, time]) => (time === null ? [] : [[key, time] as const])));
}

/** Sources of the same part stand in the same order. */
function liveTopic(plan: Plan, shadow: Plan, { part, topic }: Stand): string {
  const sources = ({ parts }: Plan) => parts.find(({ name }) => name === part)?.sources ?? [];
  const at = sources(shadow).findIndex(({ name }) => name === topic);
  return sources(plan)[at]?.name ?? topic;
}

async function place(
  plan: Plan,
  placings: readonly Placing[],
  { admin }: OperatePorts,
): Promise<void> {
  for (const { name, group, table } of plan.parts) {
    if (table !== null) continue;
    const progress = placings
      .filter(({ stand }) => stand.part === name)
      .map(({ stand, nextOffset, streamTimeMs }): Progress => {
        const told = decodeMetadata(stand.metadata ?? "");
        const { owner = `${plan.namespace}millrace-promote`, ledger = emptyLedger() } = told ?? {};
        const metadata = encodeMetadata({ owner, ledger, streamTimeMs });
        return { topic: stand.topic, partition: stand.partition, nextOffset, metadata };
      });
    await admin.commitOffsets(group, progress);
  }
}

/**
 * The notes of the run's stores say what they are; the way back leaves them to be noted by the next start. The structures
 * of what the run has made are noted too: live finds such values in its stores, and in letters of the run.
 */
async function noteStores(
  plan: Plan,
  { from, run }: { readonly from: Plan | null; readonly run: number | null },
  ports: OperatePorts,
): Promise<void> {
  const stores = plan.parts.flatMap((part) => part.stores.map(({ name }) => storeKey(name)));
  const notes = from === null ? null : await readNotes(ports, from.meta);
  const structures = from === null ? [] : structuresOf(plan, from, notes ?? new Map());
  if (stores.length + structures.length === 0) return;
  const records = stores.map((key) => noteRecord(plan.meta, key, notes?.get(key) ?? null));
  const pointer = stores.length === 0 ? [] : [storesRecord(plan.meta, run)];
  const producer = ports.kafka.producer();
  await producer.send([...records, ...structures, ...pointer]).finally(() => producer.close());
}

/** As live would note them: under its own topics. */
function structuresOf(plan: Plan, shadow: Plan, notes: Notes): OutRecord[] {
  const [own, theirs] = [plan, shadow].map(({ namespace, pipeline }) => `${namespace}${pipeline}-`);
  return shapeNotes(notes).map((note) => {
    const isTopic = theirs !== undefined && note.topic.startsWith(theirs);
    const topic = isTopic ? `${own ?? ""}${note.topic.slice(theirs.length)}` : note.topic;
    return shapeRecord(plan.meta, { ...note, topic });
  });
}
