// Letters that come back and are queued by a call that fails again: they have not ended, and a command that waits says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import { asks, answers, callFlow, retry, Service } from "../support/call-flow.ts";
import type { CommandResult } from "../support/command.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { statesOf } from "../support/redriving.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";

interface Sent {
  readonly sent: number;
  readonly ends: Readonly<Record<string, number>> | null;
}

const dlq = (fleet: Fleet, ...argv: readonly string[]): Promise<CommandResult> =>
  fleetCommand(fleet, dlqVerb, ["dlq", ...argv]);

/** A key whose call is given up. The letter is sent back then, and its call fails for a while. */
async function queued(behaves: { now: "answers" | "fails" | "not found" }) {
  const fleet = new Fleet([callFlow(retry("park-key", { attempts: 50 }))]);
  fleet.openResource = () =>
    Promise.resolve({
      client: new Service(fleet.clock, () => behaves.now),
      close: () => Promise.resolve(),
    });
  await fleet.makeRedriveTopics();
  const member = await fleet.join();
  behaves.now = "not found";
  await fleet.send(asks.name, [{ n: 1 }]);
  await fleet.until("it is a letter", () => fleet.letters().length === 1);
  behaves.now = "fails";
  const result = await dlq(fleet, "redrive", "flow", "--wait", "2", "--json");
  return { fleet, member, result };
}

test("a queued letter is counted as one that waits, until its call has an answer", async () => {
  const behaves = { now: "answers" as "answers" | "fails" | "not found" };
  const { fleet, result } = await queued(behaves);
  assert.equal(result.code, 1);
  assert.deepEqual(
    jsonOf<Sent>(result).map(({ sent, ends }) => [sent, ends]),
    [[1, { "queued: waiting for a call": 1 }]],
  );
  const states = () => [...statesOf(fleet).values()].map(({ state, outcome }) => [state, outcome]);
  assert.deepEqual(states(), [["redriven", "emitted"]]);
  behaves.now = "answers";
  await fleet.until("it is resolved", () => states()[0]?.[0] === "resolved");
  assert.deepEqual(states(), [["resolved", "emitted"]]);
  assert.equal(fleet.values(answers).length, 1);
});

test("one that is given up in the queue is open again", async () => {
  const behaves = { now: "answers" as "answers" | "fails" | "not found" };
  const { fleet } = await queued(behaves);
  behaves.now = "not found";
  const states = () => [...statesOf(fleet).values()].map(({ state }) => state);
  await fleet.until("it is open", () => states()[0] === "open");
  assert.equal(fleet.letters().length, 2);
});

test("a command that waits without a limit ends when the queued key has an answer", async () => {
  const behaves = { now: "fails" as "answers" | "fails" | "not found" };
  const { fleet } = await queued(behaves);
  behaves.now = "not found";
  await fleet.until("it is open", () => [...statesOf(fleet).values()][0]?.state === "open");
  behaves.now = "fails";
  const waiting = dlq(fleet, "redrive", "flow", "--wait", "--json");
  const slow = fleet.clock.sleep(4_000).then(() => void (behaves.now = "answers"));
  const [result] = await Promise.all([waiting, slow]);
  assert.deepEqual([result.code, jsonOf<Sent>(result)[0]?.ends], [0, { "resolved: emitted": 1 }]);
});

test("one that was queued in a store that a reset has emptied is open, if its record is not read again", async () => {
  const behaves = { now: "answers" as "answers" | "fails" | "not found" };
  const { fleet, member } = await queued(behaves);
  await fleet.during(member.worker.stop());
  // Retention has taken the record, so all begins anew behind it.
  await fleet.deleteRecords(asks.name, 1n);
  const argv = ["offsets", "reset", "flow", "--to", "earliest", "--with-state", "--yes"];
  assert.equal((await fleetCommand(fleet, offsetsVerb, argv)).code, 0);
  const [letter] = jsonOf<{ state: string; generation: number }>(
    await dlq(fleet, "list", "flow", "--letters", "--json"),
  );
  assert.deepEqual([letter?.state, letter?.generation], ["open", 0]);
  behaves.now = "answers";
  await fleet.join();
  const again = jsonOf<Sent>(await dlq(fleet, "redrive", "flow", "--wait", "9", "--json"));
  assert.deepEqual(again[0]?.ends, { "resolved: emitted": 1 });
  assert.equal(fleet.values(answers).length, 1);
});
