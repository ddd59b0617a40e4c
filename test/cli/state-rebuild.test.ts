// Entries of a changelog that something else has written: shown, and repaired by what was good before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import { stateVerb } from "../../src/cli/state.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { things } from "../support/plans.ts";

const input = things("in", 2);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 2, owner: "tests" });
const summing = (state: "redis" | "memory" = "redis", personal = false) =>
  pipeline("flow", { state }, ({ from }) => {
    from(personal ? { ...input, personalData: ["id"] } : input)
      .groupByKey()
      .sum("total", (t) => t.n)
      .to(sums);
  });

const changelog = "flow-total-changelog";
const state = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, stateVerb, ["state", ...argv]);

const foreign = (fleet: Fleet, partition: number, key: string | null, value: string | null) =>
  fleet.sendRecords([
    {
      ...{ topic: changelog, partition, headers: [], timestamp: 0 },
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    },
  ]);

const send = (fleet: Fleet, id: string, n: number, partition: number) =>
  fleet.sendRecords([
    {
      ...{ topic: input.name, partition, headers: [], timestamp: 1_000 },
      ...{ key: Buffer.from(id), value: Buffer.from(JSON.stringify({ id, n })) },
    },
  ]);

async function begun(use = summing()): Promise<{ fleet: Fleet; member: FleetMember }> {
  const fleet = new Fleet([use]);
  const member = await fleet.join();
  for (const partition of [0, 1]) await send(fleet, `k${String(partition)}`, 5, partition);
  await fleet.drained();
  return { fleet, member };
}

const stopsOf = ({ worker }: FleetMember): string[] =>
  worker
    .health()
    .flatMap((task) => (task.state === "stopped" ? [`${task.code} ${task.message}`] : []));

for (const kind of ["redis", "memory"] as const)
  test(`a worker that starts stops in front of garbage, its neighbour goes on; shown and repaired: ${kind}`, async () => {
    const { fleet, member } = await begun(summing(kind));
    await fleet.during(member.worker.stop());
    await foreign(fleet, 0, "k0", "{garbage\u001b[2J");
    await foreign(fleet, 1, "other", "{garbage");
    await foreign(fleet, 1, "other", null);
    const second = await fleet.join();
    await send(fleet, "k0", 2, 0);
    await send(fleet, "k1", 2, 1);
    await fleet.until("a task stops", () => stopsOf(second).length > 0);
    const [stop] = stopsOf(second);
    assert.match(
      stop ?? "",
      /^MILL_STATE_CHANGELOG .*: flow-total-changelog-0 at \d+, key sha256:[0-9a-f]{16}: .*layout 123.*state rebuild flow total --partition 0 --dry-run/,
    );
    await fleet.until("the neighbour goes on", () => fleet.values(sums).at(-1) === 7);
    assert.equal(fleet.meter.counter("millrace_state_entries_unreadable_total"), 1);
    assert.equal(
      fleet.log.lines.some((line) => JSON.stringify(line).includes("k0")),
      false,
    );

    const shown = await state(fleet, "rebuild", "flow", "total", "--dry-run");
    assert.equal(shown.code, 1);
    assert.match(
      shown.out.join("\n"),
      /total-0: flow-total-changelog-0 at \d+, key k0: .*layout 123.*; a repair writes the last good one of its key again, that at \d+/,
    );
    assert.match(
      shown.out.join("\n"),
      /total-1: 1 entries cannot be read and are the state of no key/,
    );
    const [first] = jsonOf<{ unreadable: { key: string; writes: string; offset: number }[] }>(
      await state(fleet, "rebuild", "flow", "--dry-run", "--json"),
    );
    assert.deepEqual(
      first?.unreadable.map(({ key, writes }) => [key, writes]),
      [["k0", "last-good"]],
    );
    // Beside a worker nothing is written, nor without a yes.
    const beside = await state(fleet, "rebuild", "flow", "--repair", "--yes", "--no-wait");
    assert.equal(beside.code, 5);
    assert.equal((await state(fleet, "rebuild", "flow", "--repair")).code, 2);
    await fleet.during(second.worker.stop());
    const repaired = await state(fleet, "rebuild", "flow", "--repair", "--yes");
    assert.equal(repaired.code, 0, repaired.err.join("\n"));
    assert.match(repaired.err.join("\n"), /1 entries were written/);
    assert.equal((await state(fleet, "rebuild", "flow", "--dry-run")).code, 0);
    const third = await fleet.join();
    await fleet.drained();
    assert.deepEqual(stopsOf(third), []);
    assert.deepEqual(fleet.values(sums).sort(), [5, 5, 7, 7]);
  });

test("a partition that can be read is made anew beside one that cannot", async () => {
  const { fleet, member } = await begun();
  await fleet.during(member.worker.stop());
  await foreign(fleet, 0, "k0", "");
  const { code, out, err } = await state(fleet, "rebuild", "flow");
  assert.equal(code, 1);
  assert.match(out.join("\n"), /total-0: .*: it is empty; .*\nmade total-1 anew, up to/);
  assert.match(err.join("\n"), /total-0 is not made anew/);
  const verified = await state(fleet, "verify", "flow", "--repair");
  assert.equal(verified.code, 1);
  assert.match(
    verified.out.join("\n"),
    /total +0 .*an entry of a store's changelog cannot be read/,
  );
  assert.match(verified.out.join("\n"), /total +1 .*same/);
});

test("what compaction has taken comes from a copy that is as new, else the key begins anew", async () => {
  const { fleet, member } = await begun();
  await fleet.during(member.worker.stop());
  for (const partition of [0, 1])
    await foreign(fleet, partition, `k${String(partition)}`, "{garbage");
  for (const { partition, high } of await fleet.during(
    fleet.kafka.port().admin().watermarks(changelog),
  ))
    fleet.kafka.compact({ topic: changelog, partition }, high);
  await fleet.copies.copy({ prefix: "flow", store: "total", partition: 1 }).remove();
  const { out } = await state(fleet, "rebuild", "flow", "--dry-run");
  assert.match(out[0] ?? "", /key k0: .*the value of the copy, which is as new/);
  assert.match(out[1] ?? "", /key k1: .*deletes the key: its state begins anew/);
  assert.equal((await state(fleet, "rebuild", "flow", "--repair", "--yes")).code, 0);
  await fleet.join();
  await send(fleet, "k0", 2, 0);
  await send(fleet, "k1", 2, 1);
  await fleet.drained();
  assert.deepEqual(fleet.values(sums).sort(), [2, 5, 5, 7]);
});

test("keys that may be personal are hashes, unless --show-keys, which is noted", async () => {
  const { fleet, member } = await begun(summing("redis", true));
  await fleet.during(member.worker.stop());
  await foreign(fleet, 0, "k0", "{garbage");
  const hidden = await state(fleet, "rebuild", "flow", "--dry-run");
  assert.match(hidden.out[0] ?? "", /key sha256:/);
  const open = await state(fleet, "rebuild", "flow", "--dry-run", "--show-keys");
  assert.match(open.out[0] ?? "", /key k0:/);
});

test("a value that no schema takes stops its task where it is used, with its place; --values shows and repairs it", async () => {
  const { fleet, member } = await begun();
  await fleet.during(member.worker.stop());
  const head = `${String.fromCharCode(1)}${"\0".repeat(8)}`;
  await foreign(fleet, 0, "k0", `${head}{"$i":"none"}`);
  const second = await fleet.join();
  await send(fleet, "k0", 2, 0);
  await fleet.until("a task stops", () => stopsOf(second).length > 0);
  assert.match(
    stopsOf(second)[0] ?? "",
    /^MILL_STATE_ENTRY .*flow-total-changelog-0 at \d+, key sha256:.*MILL_DECODE_JSON/,
  );
  assert.equal(fleet.meter.counter("millrace_state_copies_discarded_total"), 0);
  await fleet.during(second.worker.stop());
  assert.equal((await state(fleet, "rebuild", "flow", "--dry-run")).code, 0);
  assert.equal((await state(fleet, "rebuild", "flow", "--dry-run", "--values")).code, 1);
  assert.equal((await state(fleet, "rebuild", "flow", "--repair", "--values", "--yes")).code, 0);
  await fleet.join();
  await fleet.drained();
  assert.equal(fleet.values(sums).at(-1), 7);
});
