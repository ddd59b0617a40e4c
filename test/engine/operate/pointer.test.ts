// Letters that point to their record: it is fetched and checked, and nothing else is sent in its place.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import type { Headers } from "../../../src/engine/core/record.ts";
import { readLetters } from "../../../src/engine/operate/letters/read-letters.ts";
import { recordOf } from "../../../src/engine/operate/letters/pointer.ts";
import { Fleet } from "../../support/fleet.ts";
import {
  expectedOf,
  flow,
  input,
  madeBy,
  numbers,
  operatorOf,
  redriveAll,
  right,
  rule,
  stateCounts,
} from "../../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const sha256 = (value: Buffer): string => createHash("sha256").update(value).digest("hex");

/** One record was refused; its letter is made anew without its value, pointing to where the record lies. */
async function pointing(hash: (value: Buffer) => string = sha256): Promise<Fleet> {
  rule.refuses = ({ n }) => n === 3;
  const fleet = new Fleet([flow]);
  await fleet.join();
  await fleet.sendRecords(numbers(0, 7));
  await fleet.drained();
  rule.refuses = right;
  const [plan] = fleet.plans;
  const [letter] = fleet.kafka.records(plan?.deadLetters ?? "", { committed: true });
  const say = (name: string): string =>
    String(letter?.headers.find(([of]) => of === `dlq.${name}`)?.[1]);
  const place = [say("topic"), say("partition"), say("offset")].join("/");
  const more: Headers = [
    ["dlq.pointer", Buffer.from(place)],
    ["dlq.value-sha256", Buffer.from(hash(letter?.value ?? Buffer.alloc(0)))],
  ];
  assert.ok(letter !== undefined);
  // As it is made where it does not fit: without what the record brought along.
  const own = letter.headers.slice(letter.headers.findIndex(([name]) => name === "dlq.id"));
  const { topic, partition, timestamp } = letter;
  const small = { topic, partition, timestamp, key: null, value: null, headers: [...own, ...more] };
  await fleet.sendRecords([small]);
  return fleet;
}

test("the record is fetched where it lies, with its key, value, headers and time", async () => {
  const fleet = await pointing();
  const [plan] = fleet.plans;
  const { ports } = operatorOf(fleet);
  const read = plan === undefined ? null : await fleet.during(readLetters(plan, ports));
  const [letter] = read?.letters ?? [];
  assert.ok(letter !== undefined && letter.pointer !== null);
  const fetched = await fleet.during(recordOf(letter, ports));
  assert.ok("record" in fetched);
  const { key, value, headers, timestamp } = fetched.record;
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

test("a record that retention has taken, or that is another one, is not sent: its letter stays open", async () => {
  const gone = await pointing();
  const admin = gone.kafka.port().admin();
  const below = [0, 1].map((partition) => ({ topic: input.name, partition, nextOffset: 3n }));
  await gone.during(admin.deleteRecords(below));
  const other = await pointing(() => sha256(Buffer.from("another")));
  for (const [fleet, why] of [
    [gone, /retention has taken/],
    [other, /is another one/],
  ] as const) {
    const { sent, refused } = await redriveAll(fleet);
    assert.equal(sent.length, 0);
    assert.match(refused[0]?.why ?? "", why);
    assert.deepEqual(stateCounts(fleet), {});
    assert.equal(fleet.kafka.records("flow-redrive", { committed: true }).length, 0);
  }
});
