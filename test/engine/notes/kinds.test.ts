import assert from "node:assert/strict";
import { test } from "node:test";
import type { MillraceError } from "../../../src/engine/core/errors.ts";
import { stateRecord } from "../../../src/engine/core/redrive.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import {
  gateNote,
  gateRecord,
  haltAboveNote,
  haltAboveRecord,
  storesNote,
  storesRecord,
} from "../../../src/engine/notes/gate-note.ts";
import {
  generationRecord,
  generationsIn,
  type Generation,
} from "../../../src/engine/notes/generations.ts";
import { whenLost, wrongNote } from "../../../src/engine/notes/kinds.ts";
import {
  isPiece,
  noteRecord,
  NoteTail,
  pieceRecord,
  startNote,
  startRecord,
  type Notes,
} from "../../../src/engine/notes/notes.ts";
import { shapeNotes, shapeRecord } from "../../../src/engine/notes/shape-notes.ts";
import {
  resumeKey,
  resumeText,
  stopKey,
  stopNote,
  stopText,
} from "../../../src/engine/notes/stop-notes.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { Fleet } from "../../support/fleet.ts";
import { copy } from "../../support/stopping.ts";

const meta = "p-meta";
const of = { pipeline: "p" };
const at = { part: "main", topic: "in", partition: 1 };
const group = "p.main";
const stop = { owner: "w-1", atMs: 5, kind: "stopped", code: "MILL_X", message: "m" } as const;
const why = { code: "C", message: "m", atMs: 1, owner: "w" } as const;
const gate = { ...why, state: "halted", by: "breaker" } as const;
const reading = { ...at, from: 3n, stopped: null };
const generation: Generation = {
  number: 1,
  parent: 0,
  why: "reset",
  run: null,
  atMs: 1,
  isUnfinished: false,
  hasOtherStores: false,
  readings: [reading],
};
const shape = { topic: "t", id: "i", code: "c", structure: { "": "object" }, isAccepted: false };

/** As Millrace writes them. */
const written: readonly OutRecord[] = [
  gateRecord(meta, gate),
  storesRecord(meta, 3),
  storesRecord(meta, null),
  haltAboveRecord(meta, 0.2),
  generationRecord(meta, generation),
  startRecord(
    meta,
    group,
    { topic: "in", partition: 1, nextOffset: 4n },
    { topicId: "id", partitions: 4 },
  ),
  startRecord(
    meta,
    group,
    { topic: "in", partition: 2, nextOffset: 4n },
    { topicId: null, partitions: null },
  ),
  pieceRecord(meta, group, at),
  noteRecord(
    meta,
    "store/totals",
    '{"operator":"sum","key":"string","value":"json","part":"main","partitions":2}',
  ),
  noteRecord(meta, stopKey(at), stopText(stop)),
  noteRecord(meta, resumeKey(at), resumeText(stop)),
  shapeRecord(meta, shape),
  stateRecord(
    meta,
    { id: "1f", generation: 0 },
    { state: "redriven", redrives: 1, atMs: 1, job: "j" },
  ),
  stateRecord(meta, { id: "1f", generation: 2 }, { state: "open", redrives: 1, atMs: 1 }),
];

const tricks: readonly string[] = [
  ...[
    "{garbage",
    "",
    "null",
    "[]",
    '"text"',
    "1e999",
    "{}",
    "{",
    "\u0000\u0001",
    "[".repeat(9_000),
  ],
  ...[
    '{"__proto__":{"state":"halted"}}',
    '{"constructor":{"prototype":{}}}',
    "[".repeat(30) + "]".repeat(30),
  ],
];

/** A good note with one field after another of a wrong type, beyond 2^53, or missing. */
function spoiled(good: string): string[] {
  const note = JSON.parse(good) as Record<string, unknown>;
  const wrong = [1e300, -1, 2 ** 53, { a: 1 }, [[]], "x".repeat(20_000), true, undefined];
  return Object.keys(note).flatMap((name) =>
    wrong.map((value) => JSON.stringify({ ...note, [name]: value })),
  );
}

test("what Millrace writes is taken, and nothing else under the keys of its own", () => {
  for (const { key, value } of written) {
    const name = String(key);
    assert.equal(wrongNote(name, String(value)), null, name);
    // That a piece is there says everything.
    const isBare = name.startsWith("piece/");
    for (const trick of isBare ? ["{garbage", "null", "[]"] : tricks)
      assert.ok(wrongNote(name, trick) !== null, `${name} ${trick}`);
    const many = spoiled(String(value));
    const taken = many.filter((one) => wrongNote(name, one) === null);
    // A field that may be left out, or that is true or false, is all that passes.
    assert.ok(taken.length <= 6, `${name}: ${taken.join("\n")}`);
  }
});

test("a key that only looks like one of ours is none, and nobody waits for it", () => {
  const keys = [
    "stop/a/b/x",
    "stop/a",
    "generation/0",
    "generation/1e3",
    "letter/",
    "letter/a/b/c",
  ];
  for (const key of [...keys, `store/${"s".repeat(400)}`, "gate/x", "shape/t"]) {
    assert.match(wrongNote(key, "{}") ?? "", /its key is none that Millrace writes/, key);
    assert.equal(whenLost(key), "none");
  }
  assert.equal(wrongNote("of-a-later-release", "{garbage"), null);
});

class Scene {
  readonly clock = new FakeClock();
  readonly kafka = new MemoryKafka(this.clock, 1);
  readonly port = this.kafka.port();
  readonly ports = { kafka: this.port, admin: this.port.admin() };
  readonly #producer = this.port.producer();

  constructor() {
    this.kafka.createTopic({ topic: meta, partitions: 1 });
  }

  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    assert.ok(await this.clock.advanceUntil(() => isDone, 10_000));
    return marked;
  }

  async write(...records: readonly OutRecord[]): Promise<void> {
    await this.during(this.#producer.send(records));
  }

  /** As a reader that has never read before. */
  read(): Promise<Notes> {
    return this.during(new NoteTail(this.ports, meta).look());
  }

  /** As compaction leaves the topic: only what was written last. */
  async readLast(): Promise<Notes> {
    const [mark] = await this.during(this.ports.admin.watermarks(meta));
    const nextOffset = (mark?.high ?? 0n) - 1n;
    await this.during(this.ports.admin.deleteRecords([{ topic: meta, partition: 0, nextOffset }]));
    return this.read();
  }
}

test("garbage over a good note leaves what the note says, whatever kind it is", async () => {
  const scene = new Scene();
  await scene.write(...written);
  const before = await scene.read();
  const garbage = written.map(({ key }) => noteRecord(meta, String(key), "{garbage"));
  await scene.write(...garbage);
  const after = await scene.read();
  assert.deepEqual(new Map(after), new Map(before));
  const faults = [...(after.faults?.values() ?? [])];
  assert.equal(faults.length, new Set(written.map(({ key }) => String(key))).size);
  assert.ok(faults.every(({ isCovered }) => isCovered));
  assert.equal(gateNote(after)?.state, "halted");
  assert.deepEqual(generationsIn(of, after), generationsIn(of, before));
  const [first] = faults;
  assert.deepEqual(
    [first?.topic, first?.partition, first?.key, first?.why],
    [meta, 0, "gate", "it is not JSON"],
  );
});

test("a good note over garbage counts, and nothing is wrong any more", async () => {
  const scene = new Scene();
  await scene.write(noteRecord(meta, "gate", "{garbage"));
  assert.equal(gateNote(await scene.read())?.by, "notes");
  await scene.write(gateRecord(meta, gate));
  const notes = await scene.read();
  assert.deepEqual([gateNote(notes)?.by, notes.faults?.size], ["breaker", 0]);
  await scene.write(noteRecord(meta, "gate", "{garbage"), gateRecord(meta, null));
  assert.equal(gateNote(await scene.read()), null);
});

test("garbage over a note that was taken away leaves none", async () => {
  const scene = new Scene();
  await scene.write(
    gateRecord(meta, gate),
    gateRecord(meta, null),
    noteRecord(meta, "gate", "{garbage"),
  );
  assert.equal(gateNote(await scene.read()), null);
});

test("a reader that knew there was none is not stopped by garbage; one that comes later is", async () => {
  const scene = new Scene();
  const tail = new NoteTail(scene.ports, meta);
  await scene.write(storesRecord(meta, null));
  await scene.during(tail.look());
  await scene.write(noteRecord(meta, "gate", "{garbage"));
  assert.equal(gateNote(await scene.during(tail.look())), null);
  assert.equal(gateNote(await scene.read())?.by, "notes");
});

const lost = async (key: string): Promise<Notes> => {
  const scene = new Scene();
  await scene.write(...written, noteRecord(meta, key, "{garbage"));
  return scene.readLast();
};

test("where no good one is left, each kind does what is safe", async () => {
  const isOurs = ({ code, message }: MillraceError): boolean =>
    code === "MILL_NOTE_INVALID" &&
    /p-meta-0 at 14, key "[^"]+": it is not JSON\. To see and to repair it: npx millrace notes repair p$/.test(
      message,
    );
  assert.equal(gateNote(await lost("gate"))?.state, "closed");
  const stores = await lost("stores");
  assert.equal(gateNote(stores)?.by, "notes");
  assert.throws(() => storesNote(of, stores), isOurs);
  const generations = await lost("generation/1");
  assert.equal(gateNote(generations)?.by, "notes");
  assert.throws(() => generationsIn(of, generations), isOurs);
  // Nobody looks behind the next one.
  assert.equal(gateNote(await lost("generation/7")), null);
  const started = { topic: "in", partition: 1 };
  const starts = await lost(`start/${group}/in-1`);
  assert.deepEqual(startNote(starts, group, started), {
    nextOffset: 0n,
    topicId: null,
    partitions: null,
  });
  assert.equal(startNote(starts, group, { topic: "in", partition: 0 }), null);
  const [apart, together] = [await lost("halt-above"), await lost(`piece/${group}/in-1`)];
  assert.deepEqual([isPiece(apart, group, at), isPiece(together, group, at)], [false, true]);
  assert.equal(haltAboveNote(await lost("halt-above")), null);
  assert.equal(stopNote(await lost(stopKey(at)), at), null);
  assert.deepEqual(shapeNotes(await lost("shape/t/i/c")), []);
});

test("a generation that comes from itself, or from a later one, is none: whoever follows its parents comes to an end", async () => {
  for (const parent of [1, 2, 3, Number.MAX_SAFE_INTEGER]) {
    const { key, value } = generationRecord(meta, { ...generation, number: 1, parent });
    assert.equal(wrongNote(String(key), String(value)), "its parent is no earlier one");
  }
  const fleet = new Fleet([copy]);
  const metaTopic = fleet.plans[0]?.meta ?? "";
  await fleet.sendRecords([
    generationRecord(metaTopic, { ...generation, number: 1, parent: 2 }),
    generationRecord(metaTopic, { ...generation, number: 2, parent: 1 }),
  ]);
  const { worker } = await fleet.join();
  await fleet.clock.advance(10_000);
  assert.match(
    worker.whyPaused.join(),
    /MILL_NOTE_INVALID .*key "generation\/1": its parent is no earlier one/,
  );
});
