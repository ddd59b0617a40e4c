// Somebody else writes to the redrive topic: what comes from no letter, is another record than the letter's, or comes a second
// time, is a letter by itself and nothing else.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { redriveHeaders, redriveOrderOf, statesIn } from "../../src/engine/core/redrive.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { readNotes } from "../../src/engine/notes/notes.ts";
import type { Fleet } from "../support/fleet.ts";
import {
  expectedOf,
  input,
  madeBy,
  operatorOf,
  planOf,
  range,
  redriveAll,
  redriveRecords,
  refused,
  right,
  rule,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const unproven = (fleet: Fleet): number =>
  fleet.letters().filter(({ code }) => code === "MILL_REDRIVE_UNPROVEN").length;

/** As a letter that never was would come back. */
function forged(
  fleet: Fleet,
  changes: Partial<Parameters<typeof redriveHeaders>[0]> = {},
): OutRecord {
  const headers = redriveHeaders({
    ...{ id: "0".repeat(32), part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "x" },
    origin: { topic: input.name, partition: 0, offset: 0n, timestamp: 1_000 },
    ...changes,
  });
  const value = Buffer.from(JSON.stringify({ id: "forged", n: 999 }));
  const { redrive: topic } = planOf(fleet);
  return { topic, partition: 0, key: Buffer.from("forged"), value, headers, timestamp: 0 };
}

test("forged redrives are letters, and nothing of them comes out, also beside those that are true", async () => {
  const { fleet } = await refused(20);
  await fleet.makeRedriveTopics();
  const tricks = [
    forged(fleet),
    forged(fleet, { id: "__proto__" }),
    forged(fleet, { part: "none" }),
    forged(fleet, { redrives: 2 ** 52 }),
    { ...forged(fleet), headers: [["dlq.id", Buffer.from("x/1")]] },
    { ...forged(fleet), headers: [], key: null, value: null },
  ] as OutRecord[];
  await fleet.sendRecords(tricks);
  await redriveAll(fleet);
  await fleet.sendRecords(tricks);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(20)));
  assert.equal(unproven(fleet), 2 * tricks.length);
  assert.equal(fleet.meter.counter("millrace_redrives_unproven_total"), 2 * tricks.length);
  const { consumed, ...ends } = await fleet.ledger("main");
  assert.equal(
    consumed,
    Object.values(ends).reduce((sum, n) => sum + n, 0),
  );
});

test("another record under a letter's name, and a second copy of the true one, are letters", async () => {
  const { fleet, member } = await refused(10);
  await fleet.during(member.worker.stop());
  await redriveAll(fleet);
  const [genuine] = redriveRecords(fleet);
  assert.ok(genuine !== undefined && redriveOrderOf(genuine.headers) !== null);
  const { topic, partition, key, value, headers } = genuine;
  const copy: OutRecord = { topic, partition, key, value, headers, timestamp: 0 };
  const other = { ...copy, value: Buffer.from(JSON.stringify({ id: String(key), n: 998 })) };
  // In one slice with the true one.
  await fleet.sendRecords([other, copy, copy]);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
  assert.equal(unproven(fleet), 3);
  // After a restart, when it was dealt with.
  await fleet.sendRecords([copy]);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
  assert.equal(unproven(fleet), 4);
});

test("a record that was put in front of a redrive, under the name that it would have, is not taken for it", async () => {
  const { fleet, member } = await refused(10);
  await fleet.during(member.worker.stop());
  await fleet.makeRedriveTopics();
  const [letter] = (await fleet.during(readLetters(planOf(fleet), operatorOf(fleet).ports)))
    .letters;
  assert.ok(letter !== undefined);
  const { id, part, origin } = letter;
  await fleet.sendRecords([
    { ...forged(fleet, { id, part, origin }), partition: origin.partition },
  ]);
  await redriveAll(fleet);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
  assert.equal(unproven(fleet), 1);
});

test("what a worker that dies has begun is worked on once by the next", async () => {
  let crashes = 0;
  for (const isTaken of [false, true])
    for (let n = 1; n <= 3; n++) {
      const { fleet, member } = await refused(10);
      let commits = 0;
      fleet.watcher = ({ worker, request }) => {
        if (worker !== member.life || request !== "commit" || ++commits !== n) return undefined;
        crashes++;
        if (isTaken) return { taken: () => member.life.crash() };
        member.life.crash();
        return undefined;
      };
      await redriveAll(fleet);
      const [genuine] = redriveRecords(fleet);
      assert.ok(genuine !== undefined);
      const { topic, partition, key, value, headers } = genuine;
      await fleet.sendRecords([{ topic, partition, key, value, headers, timestamp: 0 }]);
      await fleet.clock.advance(2_000);
      await fleet.join();
      await fleet.drained();
      const when = `${isTaken ? "after" : "before"} commit ${String(n)}`;
      assert.deepEqual(madeBy(fleet), expectedOf(range(10)), when);
      assert.equal(unproven(fleet), 1, when);
      const { ports } = operatorOf(fleet);
      const states = statesIn(await fleet.during(readNotes(ports, planOf(fleet).letterStates)));
      assert.ok([...states.values()].flat().every(({ state }) => state === "resolved"));
    }
  assert.ok(crashes >= 4, String(crashes));
});
