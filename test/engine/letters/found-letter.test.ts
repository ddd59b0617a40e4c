// The records that are seen as letters: all that a task has written, and nothing that could not go back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import type { Headers } from "../../../src/engine/core/record.ts";
import { redriveHeaders, redriveOrderOf } from "../../../src/engine/core/redrive.ts";
import { factsOf } from "../../../src/engine/letters/found-letter.ts";
import { readLetters } from "../../../src/engine/letters/read-letters.ts";
import { Fleet } from "../../support/fleet.ts";
import { things } from "../../support/plans.ts";
import { operatorOf, redriveBy } from "../../support/redriving.ts";
import { raw } from "../../support/plans.ts";

const input = things("in", 1);
const copy = pipeline("copy", { haltWhen: "never" }, ({ from }) => {
  from(input).to(things("out", 1));
});

test("a record whose Kafka timestamp is no date is a letter that is listed, and comes back", async () => {
  const fleet = new Fleet([copy]);
  await fleet.join();
  // A broker takes any 63 bits, unless it is told otherwise.
  const times = [9_223_372_036_854_775_000, 8.64e15 + 1, 1e16];
  const value = Buffer.from(`{"id":"a","n":1}`);
  await fleet.sendRecords(
    times.map((timestamp) => ({
      ...{ topic: input.name, partition: 0, key: Buffer.from("a"), value, headers: [], timestamp },
    })),
  );
  await fleet.drained();
  const operator = operatorOf(fleet);
  const [plan] = fleet.plans as [(typeof fleet.plans)[0]];
  const read = () => fleet.during(readLetters(plan, operator.ports));
  const { letters, foreign } = await read();
  assert.deepEqual([letters.length, foreign], [times.length, 0]);
  assert.deepEqual(
    letters.map(({ origin }) => origin.timestamp),
    times,
  );
  const { sent } = await redriveBy(operator, fleet);
  await fleet.drained();
  assert.equal(sent.length, times.length);
  const back = (await read()).letters.map(({ code, redrives }) => [code, redrives]);
  assert.deepEqual(
    back,
    times.map(() => ["MILL_DECODE_NO_TIMESTAMP", 1]),
  );
});

const order = {
  ...{ id: "0".repeat(32), part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "j" },
  origin: { topic: "in", partition: 1, offset: 4n, timestamp: 1_000 },
};

test("a record that a redrive could not bring back is another's", () => {
  const changed = (name: string, text: string): Headers => [
    ...redriveHeaders(order).filter(([of]) => of !== `dlq.${name}`),
    [`dlq.${name}`, Buffer.from(text)],
  ];
  const listed = (headers: Headers): boolean => factsOf(raw({}, { headers })) !== null;
  assert.ok(listed(redriveHeaders(order)));
  const wrong: readonly (readonly [string, string])[] = [
    ["id", "x".repeat(101)],
    ["id", "a/b"],
    ["topic", "t".repeat(301)],
    ["offset", "9223372036854775808"],
    ["offset", "-1"],
    ["partition", "1e3"],
    ["timestamp", "1e3"],
    ["timestamp", ""],
    ["redrives", "9007199254740991"],
    ["read-in", ""],
  ];
  for (const [name, text] of wrong) {
    // The id begins our headers.
    const own = changed(name, text);
    const headers = name === "id" ? [...own.slice(-1), ...own.slice(0, -1)] : own;
    assert.equal(listed(headers), false, `${name} ${text.slice(0, 40)}`);
    assert.equal(redriveOrderOf(headers), null, `${name} ${text.slice(0, 40)}`);
  }
  assert.equal(
    factsOf(raw({}, { headers: changed("first-time", "x".repeat(500)) }))?.firstTime,
    null,
  );
});
