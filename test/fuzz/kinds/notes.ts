// Notes of `<pipeline>-meta`: whatever lies there, everybody who asks for them gets an answer or MILL_NOTE_INVALID.
import type { OutRecord, RawRecord, TaskAt } from "../../../src/engine/core/record.ts";
import { faultLine, lostNote } from "../../../src/engine/notes/faults.ts";
import * as gate from "../../../src/engine/notes/gate-note.ts";
import * as generations from "../../../src/engine/notes/generations.ts";
import * as notes from "../../../src/engine/notes/notes.ts";
import { shapeNotes, shapeRecord } from "../../../src/engine/notes/shape-notes.ts";
import * as stops from "../../../src/engine/notes/stop-notes.ts";
import { leftBehind } from "../../../src/engine/runtime/calls/left-behind.ts";
import { checkStores } from "../../../src/engine/runtime/store-notes.ts";
import { loggedNotes } from "../../../src/engine/operate/notes/note-log.ts";
import { flow } from "../../support/redriving.ts";
import type { Draw } from "../draw.ts";
import { kindOf, mustBePlain, type AnyKind, type Verdict } from "../kind.ts";
import { logOf, noteChanged, portsOf } from "./log.ts";

export const plan = flow.plan();
const { meta } = plan;
const [main] = plan.parts as [(typeof plan.parts)[0]];
const task: TaskAt = { part: main.name, topic: "in", partition: 1 };
const start = { topic: "in", partition: 0, nextOffset: 5n };
const stop = {
  kind: "halted",
  code: "MILL_RULE_BROKEN",
  message: "a rule",
  atMs: 1,
  owner: "w",
} as const;

const reading = { ...task, from: 2n, stopped: 7n };
const generation = { number: 1, parent: 0, why: "reset", run: null, atMs: 1_000 } as const;

/** By our own writers; a store's is written by its check, at a first start. */
const storeNote = {
  operator: "aggregate",
  key: "string",
  value: "tagged-json",
  part: main.name,
  partitions: 2,
};
const good: readonly OutRecord[] = [
  gate.gateRecord(meta, {
    state: "halted",
    by: "breaker",
    code: "MILL_X",
    message: "m",
    atMs: 5,
    owner: "w",
  }),
  gate.gateRecord(meta, null),
  gate.storesRecord(meta, 3),
  gate.storesRecord(meta, null),
  gate.haltAboveRecord(meta, 0.5),
  generations.generationRecord(meta, {
    ...{ ...generation, isUnfinished: false, hasOtherStores: true },
    readings: [reading, { ...task, partition: 0, from: 0n, stopped: null, isMade: true }],
  }),
  generations.generationRecord(meta, {
    ...{ ...generation, number: 2, parent: 1, run: 4, why: "promote", isUnfinished: true },
    ...{ hasOtherStores: false, readings: [reading] },
  }),
  notes.startRecord(meta, main.group, start, { topicId: "a-topic-id", partitions: 4 }),
  notes.pieceRecord(meta, main.group, start),
  notes.noteRecord(meta, notes.storeKey("total"), JSON.stringify(storeNote)),
  notes.noteRecord(
    meta,
    notes.storeKey("gone"),
    JSON.stringify({ ...storeNote, operator: "map-async" }),
  ),
  notes.noteRecord(meta, stops.stopKey(task), stops.stopText(stop)),
  notes.noteRecord(meta, stops.resumeKey(task), stops.resumeText(stop)),
  shapeRecord(meta, {
    ...{ topic: "flow-out-repartition", id: "abcdefgh", code: "0123456789ab" },
    ...{ structure: { "": "object", ".id": "string", ".n": "number|null" }, isAccepted: true },
  }),
];

function make(draw: Draw): readonly RawRecord[] {
  const drawn = draw.list(1, 8, () => {
    const record = draw.of(good);
    const more = noteChanged(draw, record);
    return { ...record, ...(draw.chance(0.3) ? {} : more) };
  });
  return logOf(meta, drawn);
}

const log = { warn: (): void => undefined };

async function read(records: readonly RawRecord[]): Promise<Verdict> {
  const ports = portsOf(new Map([[meta, records]]));
  const found = await notes.readNotes(ports, meta);
  for (const fault of found.faults?.values() ?? []) {
    lostNote(found, fault.key);
    faultLine(plan, fault);
  }
  const shut = gate.gateNote(found);
  if (shut !== null) gate.gateText(plan, shut);
  gate.haltAboveNote(found);
  mustBePlain([shut, stops.stopNotes(found), shapeNotes(found), stops.stopNote(found, task)]);
  stops.isResumed(found, task, stop);
  notes.startNote(found, main.group, start);
  notes.isPiece(found, main.group, start);
  await loggedNotes(plan, ports as never);
  await readStores(ports, found);
  readLineage(found);
  const wrong = found.faults ?? new Map();
  return wrong.size === 0 ? "taken" : "refused";
}

/** Notes that nobody may go on without: an error of theirs ends the case. */
function readLineage(found: notes.Notes): void {
  gate.storesNote(plan, found);
  generations.lastGeneration(found);
  const lineage = generations.lineageOf(plan, found);
  const place = { ...task, offset: 3n, generation: 0, readIn: null };
  lineage.overBy(place);
  lineage.stopOf(place);
}

async function readStores(topics: ReturnType<typeof portsOf>, found: notes.Notes): Promise<void> {
  const producer = { send: () => Promise.resolve(), close: () => Promise.resolve() };
  const ports = {
    kafka: { ...topics.kafka, producer: () => producer },
    admin: { ...topics.admin, describeTopics: () => Promise.resolve(new Map()) },
    log,
  };
  await leftBehind(plan, found, ports);
  await checkStores([plan], ports as never);
}

export const noteKind: AnyKind = kindOf({
  ...{ name: "notes", codes: /^MILL_NOTE_INVALID$/, weight: 3 },
  ...{ make, read },
});
