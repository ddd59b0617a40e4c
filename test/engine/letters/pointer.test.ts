// Letters that point to their record: it is fetched and checked, and nothing else is sent in its place.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import type { OutRecord, Headers, RawRecord } from "../../../src/engine/core/record.ts";
import { factsOf, type FoundLetter } from "../../../src/engine/letters/found-letter.ts";
import { letterOf as newLetterOf } from "../../../src/engine/letters/letter.ts";
import { reduced } from "../../../src/engine/letters/letter-size.ts";
import { readLetters } from "../../../src/engine/letters/read-letters.ts";
import { recordOf } from "../../../src/engine/letters/pointer.ts";
import { Fleet } from "../../support/fleet.ts";
import { things } from "../../support/plans.ts";
import {
  expectedOf,
  flow,
  input,
  madeBy,
  numbers,
  operatorOf,
  planOf,
  redriveAll,
  right,
  rule,
  stateCounts,
} from "../../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** What a letter that did not fit holds instead of its key and value. */
type Hashes = (of: RawRecord) => readonly (readonly [side: "key" | "value", hash: string])[];
const both: Hashes = ({ key, value }) => [
  ["key", sha256(key as Buffer)],
  ["value", sha256(value as Buffer)],
];

/** One record was refused; its letter is made anew without key, value and headers, pointing to where the record lies. */
async function pointing(hashes: Hashes = both): Promise<Fleet> {
  rule.refuses = ({ n }) => n === 3;
  const fleet = new Fleet([flow]);
  await fleet.join();
  await fleet.sendRecords(numbers(0, 7));
  await fleet.drained();
  rule.refuses = right;
  const [letter] = fleet.kafka.records(planOf(fleet).deadLetters, { committed: true });
  assert.ok(letter !== undefined);
  const say = (name: string): string =>
    String(letter.headers.find(([of]) => of === `dlq.${name}`)?.[1]);
  const place = [say("topic"), say("partition"), say("offset")].join("/");
  const more: Headers = [
    ["dlq.pointer", Buffer.from(place)],
    ...hashes(letter).map(([side, hash]) => [`dlq.${side}-sha256`, Buffer.from(hash)] as const),
  ];
  // As it is made where it does not fit: without what the record brought along.
  const own = letter.headers.slice(letter.headers.findIndex(([name]) => name === "dlq.id"));
  const { topic, partition, timestamp } = letter;
  const small = { topic, partition, timestamp, key: null, value: null, headers: [...own, ...more] };
  await fleet.sendRecords([small]);
  return fleet;
}

/** The only letter, with what it holds itself. */
async function letterOf(fleet: Fleet): Promise<FoundLetter> {
  const { ports } = operatorOf(fleet);
  const { letters } = await fleet.during(readLetters(planOf(fleet), ports, () => true));
  assert.equal(letters.length, 1);
  return letters[0] ?? assert.fail("there is one");
}

const fetched = (fleet: Fleet, letter: FoundLetter) =>
  fleet.during(recordOf(planOf(fleet), letter, operatorOf(fleet).ports));

test("the record is fetched where it lies, with its key, value, headers and time", async () => {
  const fleet = await pointing();
  const letter = await letterOf(fleet);
  assert.ok(letter.pointer !== null);
  const found = await fetched(fleet, letter);
  assert.ok("record" in found);
  const { key, value, headers, timestamp } = found.record;
  assert.deepEqual([String(key), JSON.parse(String(value))], ["k3", { id: "k3", n: 3 }]);
  assert.deepEqual([headers, timestamp], [[["trace", Buffer.from("3")]], 1_003]);
});

test("a letter with a pointer is redriven whole", async () => {
  const fleet = await pointing();
  assert.equal((await redriveAll(fleet)).sent.length, 1);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf([0, 1, 2, 3, 4, 5, 6]));
  assert.deepEqual(stateCounts(fleet), { resolved: 1 });
});

test("a letter that points into a topic that is no more has no record", async () => {
  const fleet = await pointing();
  const letter = await letterOf(fleet);
  await fleet.during(fleet.kafka.port().admin().deleteTopics([input.name]));
  const found = await fetched(fleet, letter);
  assert.ok("gone" in found);
});

test("a record that retention has taken, or that is another one, is not sent: its letter stays open", async () => {
  const gone = await pointing();
  const admin = gone.kafka.port().admin();
  const below = [0, 1].map((partition) => ({ topic: input.name, partition, nextOffset: 3n }));
  await gone.during(admin.deleteRecords(below));
  const wrong = sha256(Buffer.from("another"));
  const spoilt = (side: "key" | "value"): Hashes => {
    return (of) => both(of).map(([one, hash]) => [one, one === side ? wrong : hash]);
  };
  for (const [fleet, why] of [
    [gone, /retention has taken/],
    [await pointing(spoilt("value")), /is another one/],
    [await pointing(spoilt("key")), /is another one/],
    // What is neither held nor known by its hash can be anything.
    [await pointing((of) => both(of).slice(1)), /is another one/],
  ] as const) {
    const { sent, refused } = await redriveAll(fleet);
    assert.equal(sent.length, 0);
    assert.match(refused[0]?.why ?? "", why);
    assert.deepEqual(stateCounts(fleet), {});
    assert.equal(fleet.kafka.records("flow-redrive", { committed: true }).length, 0);
  }
});

const [source, output] = [things("in", 2), things("out", 2)];
const big: Pipeline = pipeline("big", { haltWhen: "never" }, ({ from }) => {
  from(source)
    .expect("good", ({ n }) => n > 0, { otherwise: "dead-letter" })
    .to(output);
});

/** A fleet whose source takes just this record, and whose letters may be as large. */
async function processed(record: Partial<OutRecord>): Promise<Fleet> {
  const fleet = new Fleet([big]);
  const at = { topic: "in", partition: 0, key: Buffer.from("k"), value: null, timestamp: 1 };
  await fleet.sendRecords([{ ...at, headers: [], ...record }]);
  await fleet.join();
  await fleet.drained();
  return fleet;
}

const bigValue = (length: number): Buffer => {
  const shell = JSON.stringify({ id: "", n: -1 }).length;
  return Buffer.from(JSON.stringify({ id: "x".repeat(length - shell), n: -1 }));
};
const LARGEST = 1_048_000;

test("a record as large as its topic takes becomes a letter without its value, which is found again", async () => {
  const value = bigValue(LARGEST);
  const fleet = await processed({ value, headers: [["trace", Buffer.from("1")]] });
  const [raw] = fleet.kafka.records("big-dead-letters", { committed: true });
  assert.equal(raw?.value, null);
  const bytes = raw.headers.find(([name]) => name === "dlq.value-bytes")?.[1];
  assert.equal(String(bytes), String(value.length));
  const found = await fetched(fleet, await letterOf(fleet));
  assert.ok("record" in found);
  const { key, headers } = found.record;
  assert.deepEqual([key, headers], [Buffer.from("k"), [["trace", Buffer.from("1")]]]);
  assert.ok(found.record.value?.equals(value));
});

test("a letter that holds all of its record needs no look at its source", async () => {
  // Another pipeline's words, in a record that had been a letter itself, are no pointer of ours.
  const brought: Headers = [["dlq.pointer", Buffer.from("in/0/0")]];
  const fleet = await processed({ value: bigValue(100), headers: brought });
  const letter = await letterOf(fleet);
  assert.equal(letter.pointer, null);
  const { ports } = operatorOf(fleet);
  const nobody = { ...ports, kafka: { reader: () => assert.fail("it reads") } };
  const found = await recordOf(planOf(fleet), letter, nobody);
  assert.ok("record" in found);
  assert.deepEqual([found.record.value, found.record.headers], [bigValue(100), brought]);
});

const origin = {
  ...{ pipeline: "flow", part: "main", version: "1", topic: "flow-dead-letters", partitions: 1 },
  ...{ bytesMax: 1_000, states: "flow-letter-states", generation: 0 },
};
const failure = {
  class: "decode",
  stage: "decode",
  step: "in",
  rule: null,
  code: "MILL_DECODE_JSON",
  message: "it does not parse",
} as const;

for (const [what, key, value] of [
  ["key", null, Buffer.from("{")],
  ["value", Buffer.from("k"), null],
  ["key and value", null, null],
  ["bytes in its key and value", Buffer.alloc(0), Buffer.alloc(0)],
] as const)
  test(`a record without ${what} is fetched for a letter that was refused as a whole`, async () => {
    const raw: RawRecord = {
      ...{ topic: "in", partition: 0, offset: 5n, timestamp: 1, key, value, headers: [] },
    };
    const letter = { ...reduced(newLetterOf(raw, failure, origin, 2)), offset: 0n };
    const facts = factsOf(letter, false) ?? assert.fail("it is a letter");
    assert.ok(facts.pointer !== null);
    const end = { topic: "in", partition: 0, low: 0n, high: 9n };
    const reader = {
      read: () =>
        Promise.resolve({
          records: [raw],
          ...{ nextOffset: 9n, highWatermark: 9n, lastStableOffset: 9n },
        }),
      close: () => Promise.resolve(),
    };
    const ports = {
      kafka: { reader: () => reader },
      admin: { watermarks: () => Promise.resolve([end]) },
    };
    const state = { state: "open", redrives: 0, atMs: 0 } as const;
    const found = await recordOf(
      flow.plan(),
      { ...facts, state, said: null, record: letter },
      ports,
    );
    assert.ok("record" in found, "gone" in found ? found.gone : "");
    assert.deepEqual([found.record.key, found.record.value], [key, value]);
  });
