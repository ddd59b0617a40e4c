// Somebody else writes to the keys of a copy in Redis: workers discard it, make it anew, say so, and every sum is right.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic } from "#engine";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { entryCodec } from "../../src/engine/state/entry-codec.ts";
import { Fleet } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import { plainCodec } from "../support/stores.ts";
import { TroubledCopies, type CopyCall } from "../support/troubled-copies.ts";

const input = things("in", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });
const firsts = things("firsts", 1);
const flow = pipeline("flow", ({ from }) => {
  const once = from(input).distinct("once", { by: (t) => t.n, within: seconds(60) });
  once.to(firsts);
  once
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});
const discards = (fleet: Fleet): number =>
  fleet.meter.counter("millrace_state_copies_discarded_total");
const stopped = (fleet: Fleet): readonly string[] =>
  fleet.log.lines.filter(({ level }) => level === "error").map(({ message }) => message);

async function begun(): Promise<{ fleet: Fleet; copies: TroubledCopies }> {
  const fleet = new Fleet([flow], { cacheBytesMax: 0 });
  const copies = new TroubledCopies();
  fleet.copies = copies;
  await fleet.join();
  await fleet.send(input.name, [{ id: "k", n: 1 }]);
  await fleet.drained();
  return { fleet, copies };
}

for (const call of ["position", "read", "apply", "due"] as const)
  test(`a copy that cannot be read at ${call} is made anew, and every sum is right`, async () => {
    const { fleet, copies } = await begun();
    const seen = new Set<string>();
    copies.onCall = (made: CopyCall, { store }) => {
      if (made !== call || seen.has(store)) return;
      seen.add(store);
      throw new MillraceError("MILL_STATE_COPY", "its position is none");
    };
    if (call === "position") await fleet.join();
    for (const n of [2, 2, 3]) await fleet.send(input.name, [{ id: "k", n }]);
    await fleet.drained();
    if (call === "due") {
      const at = { ...input, key: Buffer.from("k"), value: Buffer.from('{"id":"k","n":4}') };
      const record = { topic: at.name, partition: 0, key: at.key, value: at.value, headers: [] };
      await fleet.sendRecords([{ ...record, timestamp: fleet.clock.now() + 120_000 }]);
      await fleet.drained();
    }
    assert.equal(fleet.values(sums).at(-1), call === "due" ? 10 : 6);
    assert.deepEqual(stopped(fleet), []);
    // A refused piece is followed by a look at the changelog, which makes nothing anew.
    const least = call === "apply" ? 0 : 1;
    assert.ok(discards(fleet) >= least, String(discards(fleet)));
    const said = fleet.log.messages("warn").filter((text) => text.includes("made anew"));
    assert.equal(said.length, discards(fleet));
  });

test("garbage in the place of a value is not that of the changelog: the copy goes, the task stays", async () => {
  const { fleet, copies } = await begun();
  const store = copies.stores().find(({ store: name }) => name === "total") ?? assert.fail("none");
  const { position, dues } = await copies.look(store);
  const garbage = [Buffer.from("{garbage"), Buffer.alloc(0), Buffer.from([9, 9, 9])];
  const codec = entryCodec(plainCodec, "total");
  const truncated = codec.encode({ value: "long text", timestamp: 1, dueMs: null }).subarray(0, 14);
  let sum = 1;
  for (const bytes of [...garbage, truncated]) {
    const { position: now } = await copies.look(store);
    await copies.put(store, { position: now, entries: new Map([["k", bytes]]), dues });
    const before = discards(fleet);
    sum += sum + 1;
    await fleet.send(input.name, [{ id: "k", n: sum - (sum - 1) / 2 }]);
    await fleet.drained();
    assert.equal(fleet.values(sums).at(-1), sum);
    assert.equal(discards(fleet), before + 1);
  }
  assert.ok(position !== null);
  assert.deepEqual(stopped(fleet), []);
});
