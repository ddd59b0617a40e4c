import assert from "node:assert/strict";
import { test } from "node:test";
import { days, json, pipeline, string, topic } from "#engine";
import { stateVerb } from "../../src/cli/state.ts";
import type { StateChange } from "../../src/engine/core/state.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { things } from "../support/plans.ts";

const input = things("in", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });
const firsts = things("firsts", 1);
const flow = pipeline("flow", ({ from }) => {
  const once = from(input).distinct("once", { by: (t) => t.n, within: days(1) });
  once.to(firsts);
  once
    .groupBy("by-id", (t) => t.id)
    .sum("total", (t) => t.n)
    .to(sums);
});
const inMemory = pipeline("in-memory", { state: "memory" }, ({ from }) => {
  from(input)
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});

const KEYS = 12;
const values = Array.from({ length: 30 }, (_, n) => ({ id: `id-${String(n % KEYS)}`, n }));

async function running(use = flow): Promise<{ fleet: Fleet; member: FleetMember }> {
  const fleet = new Fleet([use]);
  const member = await fleet.join();
  await fleet.send(input.name, values);
  await fleet.drained();
  return { fleet, member };
}

const state = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, stateVerb, ["state", ...argv]);
const copyOf = (fleet: Fleet, store = "total") =>
  fleet.copies.copy({ prefix: "flow", store, partition: 0 });

/** Changes the copy behind everybody's back: the position stays what it was. */
async function tamper(fleet: Fleet, changes: readonly StateChange[]): Promise<void> {
  const copy = copyOf(fleet);
  const stands = (await copy.position()) ?? assert.fail("there is a copy");
  const { entries } = await copy.scan(null, 1_000);
  const fresh = await copy.rebuild();
  await fresh.put([...entries, ...changes]);
  await fresh.finish(stands);
}

const key = (n: number): Buffer => Buffer.from(`id-${String(n)}`);

test("get shows a key decoded, from the copy and from the changelog", async () => {
  const { fleet } = await running();
  const { code, out } = await state(fleet, "get", "flow", "total", "--key", "id-3");
  assert.equal(code, 0);
  assert.equal(out[0], "partition  0");
  assert.match(out[1] ?? "", /^changelog {2}\S+Z {2}45$/);
  assert.match(out[2] ?? "", /^copy {7}\S+Z {2}45$/);
  assert.equal(out[3], "verdict    same");
  const [data] = jsonOf<{ copy: { value: number }; changelog: { value: number } }>(
    await state(fleet, "get", "flow", "total", "--key", "id-3", "--json"),
  );
  assert.deepEqual([data?.copy.value, data?.changelog.value], [45, 45]);
});

test("get finds a key by its bytes, where it is no text", async () => {
  const { fleet } = await running();
  const bytes = Buffer.from("k\0[7]").toString("base64");
  const { code } = await state(fleet, "get", "flow", "once", "--key-base64", bytes);
  assert.equal(code, 0);
});

test("get says when copy and changelog differ, and does not blame a copy that is behind", async () => {
  const { fleet } = await running();
  const { values: other } = await copyOf(fleet).read([key(1)]);
  await tamper(fleet, [{ key: key(3), value: other[0] ?? null, dueMs: null }]);
  const wrong = await state(fleet, "get", "flow", "total", "--key", "id-3");
  assert.deepEqual([wrong.code, wrong.out.at(-1)], [1, "verdict    different"]);
  await copyOf(fleet).remove();
  const none = await state(fleet, "get", "flow", "total", "--key", "id-3");
  assert.deepEqual([none.code, none.out.at(-1)], [0, "verdict    behind"]);
});

test("get shows a key that was deleted, with the time that it keeps", async () => {
  const add = (sum: number, { n }: { readonly n: number }): number | null =>
    n > 20 ? null : sum + n;
  const ending = pipeline("flow", ({ from }) => {
    from(input)
      .groupBy("by-id", (t) => t.id)
      .aggregate("total", { value: json<number>(), init: () => 0, add })
      .to(sums);
  });
  const { fleet } = await running(ending);
  const { code, out } = await state(fleet, "get", "flow", "total", "--key", "id-3");
  assert.equal(code, 0);
  assert.match(out[1] ?? "", /^changelog {2}\S+Z {2}deleted$/);
  assert.equal(out[3], "verdict    same");
  const [data] = jsonOf<{ copy: { value: unknown } }>(
    await state(fleet, "get", "flow", "total", "--key", "id-3", "--json"),
  );
  assert.equal(data?.copy.value, null);
});

test("get of what is not there is exit 3, and of two keys or none exit 2", async () => {
  const { fleet } = await running();
  assert.equal((await state(fleet, "get", "flow", "total", "--key", "nobody")).code, 3);
  assert.equal((await state(fleet, "get", "flow", "nothing", "--key", "id-3")).code, 3);
  assert.equal((await state(fleet, "get", "nothing", "total", "--key", "id-3")).code, 3);
  assert.equal((await state(fleet, "get", "flow", "total")).code, 2);
});

test("an error does not repeat the key that was asked for", async () => {
  const { fleet } = await running();
  const { err } = await state(fleet, "get", "flow", "total", "--key", "canary-key");
  assert.ok(!err.join("\n").includes("canary-key"));
});

test("verify finds copies that are what their changelogs say", async () => {
  const { fleet } = await running();
  const { code, out } = await state(fleet, "verify", "flow");
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^STORE +PARTITION +KEYS +MOVING +VERDICT$/);
  assert.match(out[1] ?? "", /^once +0 +30 +0 +same$/);
  assert.match(out[2] ?? "", /^total +0 +12 +0 +same$/);
});

const wrongs: Record<string, [(fleet: Fleet) => Promise<StateChange>, RegExp]> = {
  missing: [() => Promise.resolve({ key: key(3), value: null, dueMs: null }), /1 missing/],
  extra: [() => Promise.resolve({ key: key(99), value: Buffer.from("x"), dueMs: null }), /1 extra/],
  different: [
    async (fleet) => {
      const { values: other } = await copyOf(fleet).read([key(1)]);
      return { key: key(3), value: other[0] ?? null, dueMs: null };
    },
    /1 different/,
  ],
};

for (const [what, [change, message]] of Object.entries(wrongs))
  test(`verify finds a key that is ${what}, hides it unless asked, and repairs the copy`, async () => {
    const { fleet } = await running();
    const changed = await change(fleet);
    await tamper(fleet, [changed]);
    const { code, out } = await state(fleet, "verify", "flow", "total");
    assert.equal(code, 1);
    assert.match(out[1] ?? "", message);
    assert.match(out[2] ?? "", new RegExp(`^ {2}total-0 ${what}: sha256:[0-9a-f]{16}$`));
    assert.ok(!out.join("\n").includes(String(changed.key)));
    const open = await state(fleet, "verify", "flow", "total", "--show-keys");
    assert.equal(open.out[2], `  total-0 ${what}: ${String(changed.key)}`);
    const repaired = await state(fleet, "verify", "flow", "total", "--repair");
    assert.equal(repaired.code, 0);
    assert.match(repaired.err[0] ?? "", message);
    assert.equal((await state(fleet, "verify", "flow")).code, 0);
    // The worker goes on with what was put in the place of its copy.
    await fleet.send(input.name, [{ id: "id-3", n: 100 }]);
    await fleet.drained();
    assert.equal(fleet.values(sums).at(-1), 145);
  });

test("verify tells a copy that is ahead of its changelog, and one that is not there", async () => {
  const { fleet, member } = await running();
  await fleet.during(member.worker.stop());
  const { nextOffset, timeMs } = (await copyOf(fleet).position()) ?? assert.fail("a copy");
  const ahead = await copyOf(fleet).rebuild();
  await ahead.finish({ nextOffset: nextOffset + 5n, timeMs });
  const [told] = jsonOf<{ problem: string }>(
    await state(fleet, "verify", "flow", "total", "--json"),
  );
  assert.match(told?.problem ?? "", /^the copy is ahead, at \d+: the changelog has 0 to \d+$/);
  await copyOf(fleet).remove();
  const { code, out } = await state(fleet, "verify", "flow", "total");
  assert.equal(code, 1);
  assert.match(out[1] ?? "", /there is no copy$/);
});

test("a copy that is behind is not wrong: what it has not got yet is moving, and counted", async () => {
  const { fleet, member } = await running();
  const { entries } = await copyOf(fleet).scan(null, 1_000);
  const stands = (await copyOf(fleet).position()) ?? assert.fail("a copy");
  await fleet.send(input.name, [{ id: "id-3", n: 100 }]);
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const old = await copyOf(fleet).rebuild();
  await old.put(entries);
  await old.finish(stands);
  const { code, out } = await state(fleet, "verify", "flow", "total");
  assert.equal(code, 0);
  assert.match(out[1] ?? "", /^total +0 +11 +1 +same, behind by 1$/);
});

test("nothing that has run has nothing to compare", async () => {
  assert.equal((await state(new Fleet([flow]), "verify", "flow")).code, 0);
});

test("rebuild makes copies anew, shows them first with --dry-run, and knows their partitions", async () => {
  const { fleet, member } = await running();
  await fleet.during(member.worker.stop());
  await copyOf(fleet).remove();
  const argv = ["rebuild", "flow", "total"];
  const dry = await state(fleet, ...argv, "--dry-run");
  assert.deepEqual(dry.out, ["would make total-0 anew"]);
  assert.equal(await copyOf(fleet).position(), null);
  const { code, out } = await state(fleet, ...argv, "--partition", "0");
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^made total-0 anew, up to \d+$/);
  assert.equal((await state(fleet, "verify", "flow", "total")).code, 0);
  assert.equal((await state(fleet, ...argv, "--partition", "1")).code, 3);
});

test("copies in the memory of workers cannot be compared; a key is shown from the changelog", async () => {
  const { fleet } = await running(inMemory);
  assert.equal((await state(fleet, "verify", "in-memory")).code, 2);
  assert.equal((await state(fleet, "rebuild", "in-memory")).code, 2);
  const { code, out } = await state(fleet, "get", "in-memory", "total", "--key", "k");
  assert.equal(code, 0);
  assert.deepEqual([out.length, out.at(-1)], [3, "verdict    unread"]);
});
