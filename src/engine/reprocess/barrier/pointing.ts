// Puts the stopped live pipeline on the stores of a run, or back: the stores' pointer and notes in `<pipeline>-meta`, and
// progress that fits them, so that it goes on as if it had filled these stores itself. May be done twice.
import { commitWhenEmpty } from "../../core/empty-groups.ts";
import { sendOnce } from "../../core/send-once.ts";
import { emptyLedger } from "../../core/ledger.ts";
import type { StoredTime } from "../../core/event-time.ts";
import type { Progress } from "../../core/kafka.ts";
import { decodeMetadata, encodeMetadata } from "../../core/task-inputs.ts";
import type { Plan } from "../../core/plan.ts";
import { taskKey, type OutRecord } from "../../core/record.ts";
import { storesRecord } from "../../notes/gate-note.ts";
import { noteRecord, readNotes, storeKey, type Notes } from "../../notes/notes.ts";
import { shapeNotes, shapeRecord } from "../../notes/shape-notes.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { livePositions } from "./barrier.ts";
import { counterpartOf } from "../plan/shadow.ts";
import type { LivePosition } from "../words/steps.ts";

/** The position at which a stream task goes on, and the times of the stores that it goes on with. */
interface Placing {
  readonly at: LivePosition;
  readonly nextOffset: bigint;
  readonly time: StoredTime;
}

const timeOf = ({ metadata }: LivePosition): StoredTime =>
  decodeMetadata(metadata ?? "")?.time ?? {};

/** Live goes on where it was stopped, with the stores of the run. `ends` are those of topics that were added to since. */
export async function pointToRun(
  { plan, shadow, run }: { readonly plan: Plan; readonly shadow: Plan; readonly run: number },
  positions: readonly LivePosition[],
  ends: ReadonlyMap<string, bigint>,
  ports: OperatePorts,
): Promise<void> {
  const times = await timesOf(plan, shadow, ports);
  const placings = positions.map((at): Placing => {
    const key = taskKey(at);
    const nextOffset = ends.get(key) ?? at.nextOffset;
    return { at, nextOffset, time: times.get(key) ?? {} };
  });
  await place(plan, placings, ports);
  await noteStores(plan, { from: shadow, run }, ports);
}

/** Back to where it was stopped, on the stores of before; what lies in its own topics since is done. */
export async function pointBack(
  plan: Plan,
  storesBefore: number | null,
  positions: readonly LivePosition[],
  ports: OperatePorts,
): Promise<void> {
  const found = (await livePositions(plan, ports)).filter((at) => at !== null);
  const now = new Map(found.map((at) => [taskKey(at), at]));
  const placings = positions.map((stopped): Placing => {
    const at = stopped.isForeign ? stopped : (now.get(taskKey(stopped)) ?? stopped);
    return { at, nextOffset: at.nextOffset, time: timeOf(stopped) };
  });
  await place(plan, placings, ports);
  await noteStores(plan, { from: null, run: storesBefore }, ports);
}

/** By the live task: the times of the run's. */
async function timesOf(
  plan: Plan,
  shadow: Plan,
  ports: OperatePorts,
): Promise<ReadonlyMap<string, StoredTime>> {
  const found = (await livePositions(shadow, ports)).filter((at) => at !== null);
  return new Map(
    found.map((at) => {
      const live = { ...at, topic: counterpartOf(shadow, plan, at.topic) ?? at.topic };
      return [taskKey(live), timeOf(at)] as const;
    }),
  );
}

async function place(plan: Plan, placings: readonly Placing[], ports: OperatePorts): Promise<void> {
  for (const { name, group, table } of plan.parts) {
    if (table !== null) continue;
    const progress = placings
      .filter(({ at }) => at.part === name)
      .map(({ at: { topic, partition, metadata: before }, nextOffset, time }): Progress => {
        const known = decodeMetadata(before ?? "");
        const { owner = `${plan.namespace}millrace-promote`, ledger = emptyLedger() } = known ?? {};
        return {
          topic,
          partition,
          nextOffset,
          metadata: encodeMetadata({ owner, ledger, time, loadTo: known?.loadTo ?? null }),
        };
      });
    await commitWhenEmpty(group, progress, ports);
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
  await sendOnce(ports.kafka, [...records, ...structures, ...pointer]);
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
