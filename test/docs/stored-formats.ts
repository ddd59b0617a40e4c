// Samples of everything that a release stores, made by its own encoders from fixed values. Their fingerprints stand in
// docs/upgrading.md: bytes that change without a word there fail its test.
import { createHash } from "node:crypto";
import { json, minutes, pipeline, string, topic } from "#engine";
import {
  copyKey,
  FORMAT,
  FORMAT_FIELD,
  POSITION_FIELD,
  indexKey,
} from "../../src/engine/clients/redis/layout.ts";
import { encodeMember, protocolName } from "../../src/engine/clients/kafkajs/group/member-data.ts";
import { carrier } from "../../src/engine/core/carried.ts";
import { emptyLedger } from "../../src/engine/core/ledger.ts";
import { BufferedRecord, type BufferChunk } from "../../src/engine/core/join-buffer.ts";
import type { Failure } from "../../src/engine/core/outcome.ts";
import { redriveHeaders, stateRecord } from "../../src/engine/core/redrive.ts";
import type { Headers, OutRecord, RawRecord } from "../../src/engine/core/record.ts";
import type { CarriedFormat, CodecOptions } from "../../src/engine/core/schema.ts";
import type { StoreView } from "../../src/engine/core/state.ts";
import { sourceOfGivenUp } from "../../src/engine/core/state-results.ts";
import { encodeMetadata } from "../../src/engine/core/task-inputs.ts";
import { markerHeaders, withAge } from "../../src/engine/core/time-headers.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { taggedJsonCodec } from "../../src/engine/decode/tagged-json.ts";
import { auditRecord, jobRecord } from "../../src/engine/letters/commands/operator.ts";
import { letterOf, type LetterOrigin } from "../../src/engine/letters/letter.ts";
import { flowStepsOf } from "../../src/engine/core/flow-steps.ts";
import { gateRecord, haltAboveRecord, storesRecord } from "../../src/engine/notes/gate-note.ts";
import { generationRecord } from "../../src/engine/notes/generations.ts";
import { flowRecord, pieceRecord, startRecord, storeKey } from "../../src/engine/notes/notes.ts";
import { shapeRecord } from "../../src/engine/notes/shape-notes.ts";
import { resumeKey, resumeText, stopKey, stopText } from "../../src/engine/notes/stop-notes.ts";
import { createTable } from "../../src/engine/provision/tables/ddl.ts";
import { ownTables } from "../../src/engine/provision/tables/desired.ts";
import { rangeText } from "../../src/engine/reprocess/words/rows.ts";
import { insertLetters } from "../../src/engine/sinks/postgres/outbox.ts";
import { entryCodec } from "../../src/engine/state/entry-codec.ts";
import { openQueue, plainKeeping } from "../../src/engine/transform/calls/key-queue.ts";
import type { GivenUpRecord, GivenUpTimer } from "../../src/engine/transform/kept/given-up.ts";
import { chunkKey } from "../../src/engine/transform/joins/buckets.ts";
import { contentOf } from "../../src/engine/transform/calls/content.ts";

const AT_MS = 1_795_161_600_000;
const options: CodecOptions = { schemas: { get: () => undefined }, writerId: null };

const shape = { key: string, value: json<{ id: string }>(), partitions: 2, owner: "tests" };
const plan = pipeline("flow", ({ from }) => {
  from(topic("in", shape))
    .distinct("once", { by: ({ id }) => id, within: minutes(1) })
    .to(topic("out", shape));
}).plan();

const raw: RawRecord = {
  ...{ topic: "in", partition: 1, offset: 41n, timestamp: AT_MS },
  ...{ key: Buffer.from("k"), value: Buffer.from('{"id":"1"}'), headers: [["h", Buffer.of(1)]] },
};
const task = { pipeline: "flow", part: "main", topic: "in", partition: 1 };
const at = { topic: "in", partition: 1 };
const letters: Omit<LetterOrigin, "generation"> = {
  ...{ pipeline: "flow", part: "main", version: "0123456789ab", topic: "flow-dead-letters" },
  ...{ partitions: 2, bytesMax: 1_000_000, states: "flow-letter-states" },
};
const failure: Failure = {
  class: "rule",
  stage: "transform",
  step: "positive",
  rule: "positive",
  code: "MILL_RULE_BROKEN",
  message: "a rule does not hold",
};
/** Of a count, of sessions before and after one has made room, of slides, of a pane, and of the panes of a key. */
const storedWindows = [
  [AT_MS, AT_MS + 1, 2, { id: "1" }],
  [[AT_MS, AT_MS + 1, { id: "1" }]],
  { evicted: AT_MS, sessions: [[AT_MS, AT_MS + 1, { id: "1" }]] },
  { closed: null, slides: [[AT_MS, AT_MS + 1, { id: "1" }]] },
  [[0, { id: "1" }]],
  { of: [2, 1], closed: null, ranges: [[AT_MS, AT_MS, 0]] },
];
const windowsCodec = compileCodec(
  { kind: "windows", of: { kind: "json", validator: null } },
  options,
);
const order = {
  ...{ id: "00ff", part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "redrive-1" },
  origin: { topic: "in", partition: 1, offset: 41n, timestamp: AT_MS },
};
const lastRedrive = { topic: "flow-redrive", offset: 5n, order: { ...order, redrives: 3 } };
/** Entries that operators have given up, as their letters have them. */
const givenUp: readonly (GivenUpTimer | GivenUpRecord)[] = [
  { timer: "due", due: AT_MS, set: AT_MS - 5 },
  { side: "left", time: AT_MS, origin: AT_MS + 7, value: { id: "1" }, shape: "0123456789ab" },
];
const givenUpText = (entry: GivenUpTimer | GivenUpRecord): string => {
  const value = taggedJsonCodec({}).encode([entry]);
  const of = { ...raw, topic: sourceOfGivenUp("once"), value, headers: [], entry: "k" };
  return recordText(letterOf(of, failure, { ...letters, generation: 0 }, AT_MS));
};
const letter = (bytesMax: number, generation = 0): OutRecord =>
  letterOf(raw, failure, { ...letters, bytesMax, generation }, AT_MS);

const marks = [
  { channel: 0, watermark: AT_MS },
  { channel: 7, watermark: -5 },
  { channel: 300, watermark: Infinity },
];

const headersText = (headers: Headers): string =>
  headers.map(([name, bytes]) => `${name}=${bytes?.toString("hex") ?? "-"}`).join(" ");
const recordText = ({ topic: name, partition, key, value, headers }: OutRecord): string =>
  `${name}-${String(partition)} ${key?.toString("hex") ?? "-"} ${value?.toString("hex") ?? "-"} ${headersText(headers)}`;

const jsonFormat = { kind: "json", validator: null } as const;
const jsonCodec = compileCodec(jsonFormat, options);
const entries = entryCodec(jsonCodec, "store");

const carried: CarriedFormat = {
  kind: "carried",
  shapes: "flow-by-repartition",
  declared: null,
  writes: "tagged",
  origins: [{ topic: "in", format: jsonFormat }],
};
const shapes = { idOf: () => "0badcafe", isKnown: () => true };
const between = (format: CarriedFormat): string =>
  String(
    compileCodec(format, { ...options, shapes })
      .encode({ id: "1" })
      ?.toString("hex"),
  );

/** A key that begins to wait, as its store has it. */
function queuedTexts(): readonly string[] {
  const texts: string[] = [];
  const tagged = entryCodec(taggedJsonCodec({}), "store");
  const view: StoreView = {
    get: () => null,
    add: () => undefined,
    set: ({ bytes }, entry) => {
      if (entry !== null)
        texts.push(`${bytes.toString("hex")} ${tagged.encode(entry).toString("hex")}`);
    },
  };
  const context = { ...raw, key: "k" };
  const record = { raw, value: { id: "1" }, context, originMs: context.timestamp + 7 };
  const atStep = { record, value: { id: "1" } };
  const tried = { times: 1, firstMs: AT_MS };
  for (const isCarried of [false, true])
    openQueue({ view, keeping: { ...plainKeeping, isCarried } }, atStep, { tried, dueMs: AT_MS });
  return texts;
}

/** A chunk of a join's right side, with its key. */
function bufferTexts(): readonly string[] {
  const side = { ...carried, writes: "as-they-came" } as const;
  const format = { kind: "join-buffer", sides: [side, side], widthMs: 1_000 } as const;
  const times = { timeMs: AT_MS, originMs: AT_MS + 7 };
  const record = new BufferedRecord(times, true, null, Buffer.from('{"id":"1"}'));
  const chunk: BufferChunk = { side: "right", chunks: 2, records: [record] };
  const { bytes } = chunkKey({ side: 1, startMs: AT_MS, key: Buffer.from("k") }, 3);
  return [bytes, compileCodec(format, options).encode(chunk)].map((one) =>
    String(one?.toString("hex")),
  );
}

/** The parameters of the statement that puts a letter into the outbox. */
async function outboxText(): Promise<string> {
  let given: readonly unknown[] = [];
  const query = (_text: string, values: readonly unknown[]) => {
    given = values;
    return Promise.resolve({ rows: [], count: 1 });
  };
  const pending = { id: "00ff", ...letter(1_000_000) };
  await insertLetters({ query } as never, task, [pending]);
  return JSON.stringify(given);
}

const ddlOf = (name: string): string =>
  ownTables
    .filter((table) => table.name === name)
    .flatMap(createTable)
    .join("\n");

/** Each stored format with its samples. */
export async function storedSamples(): Promise<Readonly<Record<string, readonly string[]>>> {
  return {
    "changelog entry": [
      ...[null, AT_MS + 1].flatMap((dueMs) =>
        [{ id: "1" }, null].map((value) =>
          entries.encode({ timestamp: AT_MS, value, dueMs }).toString("hex"),
        ),
      ),
    ],
    "repeat of distinct": [contentOf({ b: 1, a: ["x", null, true], n: 2n })],
    "queued key": queuedTexts(),
    "buffer of a join": bufferTexts(),
    "windows of a key": storedWindows.map((value) =>
      String(windowsCodec.encode(value)?.toString("hex")),
    ),
    "copy in Redis": [
      copyKey({ prefix: "flow", store: "once", partition: 1 }),
      indexKey("{flow:once:1}"),
      FORMAT,
      FORMAT_FIELD,
      POSITION_FIELD,
    ],
    "progress in a group": [
      ...[null, 7n].map((loadTo) =>
        encodeMetadata({
          ...{ owner: "millrace-1", ledger: emptyLedger(), time: { time: AT_MS }, loadTo },
        }),
      ),
      ...[{ time: AT_MS, asserted: AT_MS + 5 }, { channels: [AT_MS, -Infinity, Infinity] }].map(
        (time) => encodeMetadata({ owner: "millrace-1", ledger: emptyLedger(), time }),
      ),
    ],
    note: [
      recordText(
        startRecord(
          "flow-meta",
          "flow.main",
          { ...at, nextOffset: 41n },
          { topicId: "id", partitions: 4 },
        ),
      ),
      recordText(pieceRecord("flow-meta", "flow.main", at)),
      storeKey("once"),
      recordText(storesRecord("flow-meta", 7)),
      recordText(haltAboveRecord("flow-meta", 0.2)),
      recordText(
        gateRecord("flow-meta", {
          ...{ state: "closed", by: "promote", code: "MILL_GATE_HELD", message: "m" },
          ...{ atMs: AT_MS, owner: "run 7", run: 7 },
        }),
      ),
      recordText(
        generationRecord("flow-meta", {
          ...{ number: 2, parent: 1, why: "promote", run: 7, atMs: AT_MS, isUnfinished: false },
          ...{ hasOtherStores: true, readings: [{ part: "main", ...at, from: 1n, stopped: null }] },
        }),
      ),
      stopKey({ part: "main", ...at }),
      stopText({ kind: "halted", code: "C", message: "m", atMs: AT_MS, owner: "o" }),
      recordText(flowRecord("flow-meta", flowStepsOf(plan))),
      resumeKey({ part: "main", ...at }),
      resumeText({ owner: "o", atMs: AT_MS }),
      recordText(
        shapeRecord("flow-meta", {
          ...{ topic: "t", id: "0badcafe", code: "0123456789ab", structure: { id: "s" } },
          isAccepted: true,
        }),
      ),
    ],
    "dead letter": [
      ...[0, 2].map((generation) => recordText(letter(1_000_000, generation))),
      recordText(letter(700)),
      recordText(
        letterOf({ ...raw, redriven: lastRedrive }, failure, { ...letters, generation: 0 }, AT_MS),
      ),
      recordText(
        letterOf(
          raw,
          { ...failure, originMs: AT_MS + 7 },
          { ...letters, bytesMax: 1_000_000, generation: 0 },
          AT_MS,
        ),
      ),
      ...givenUp.map(givenUpText),
    ],
    "letter's state": [
      ...[0, 2].map((generation) =>
        recordText(
          stateRecord(
            "flow-letter-states",
            { id: "00ff", generation },
            {
              ...{
                state: "resolved",
                redrives: 1,
                atMs: AT_MS,
                job: "redrive-1",
                outcome: "emitted",
              },
            },
          ),
        ),
      ),
      recordText(
        jobRecord(plan, {
          ...{ job: "redrive-1", state: "done", chosen: 2, sent: 2, startedMs: 1, atMs: AT_MS },
        }),
      ),
      recordText(auditRecord(plan, { atMs: AT_MS, who: "w", command: "c", letters: 1 }, "t")),
    ],
    "record on its way back": [
      headersText(redriveHeaders(order)),
      headersText(redriveHeaders({ ...order, generation: 2, readIn: "in-r1" })),
      headersText(redriveHeaders({ ...order, originMs: AT_MS + 7 })),
    ],
    "value between parts": [
      between(carried),
      between({ ...carried, writes: "declared", declared: jsonFormat }),
      String(carrier(carried, [])("in", raw.value)?.toString("hex")),
    ],
    "time between parts": [
      headersText(withAge(raw.headers, 300)),
      headersText(markerHeaders(marks)),
    ],
    "progress row": [ddlOf("progress")],
    "outbox row": [ddlOf("letters"), await outboxText()],
    "run's row": [
      ddlOf("runs"),
      rangeText({ places: [{ part: "main", ...at, from: 1n, to: 2n }], own: [], pins: {} }),
    ],
    "member of a group": [protocolName, encodeMember(["in"], "millrace-1", [1]).toString("hex")],
  };
}

export const fingerprintOf = (samples: readonly string[]): string =>
  createHash("sha256").update(samples.join("\n")).digest("hex").slice(0, 10);
