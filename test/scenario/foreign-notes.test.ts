// Somebody else writes to `<pipeline>-meta`: what was good counts, workers go on, and no start ends with an error of another's.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { notesVerb } from "../../src/cli/notes.ts";
import { gateRecord } from "../../src/engine/notes/gate-note.ts";
import { noteRecord, storeKey } from "../../src/engine/notes/notes.ts";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import type { CommandResult } from "../support/command.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { Fleet } from "../support/fleet.ts";
import {
  copy,
  input,
  noted,
  numbered,
  output,
  resume,
  summed,
  wrong,
} from "../support/stopping.ts";

beforeEach(() => void wrong.clear());

const metaOf = ({ plans }: Fleet): string => plans[0]?.meta ?? "";
const spoil = (fleet: Fleet, ...keys: readonly string[]): Promise<void> =>
  fleet.sendRecords(keys.map((key) => noteRecord(metaOf(fleet), key, "{garbage")));
const notes = (fleet: Fleet, ...argv: readonly string[]): Promise<CommandResult> =>
  fleetCommand(fleet, notesVerb, ["notes", ...argv]);
const sent = (fleet: Fleet): number => fleet.kafka.records(output.name, { committed: true }).length;

/** As compaction may leave the topic: only the newest records. */
async function cleaned(fleet: Fleet, left: bigint): Promise<void> {
  const admin = fleet.kafka.port().admin();
  const [mark] = await fleet.during(admin.watermarks(metaOf(fleet)));
  const nextOffset = (mark?.high ?? 0n) - left;
  await fleet.during(admin.deleteRecords([{ topic: metaOf(fleet), partition: 0, nextOffset }]));
}

test("garbage over every note that there is stops nobody: what they said counts", async () => {
  const fleet = new Fleet([summed]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2), 0);
  await fleet.drained();
  const before = [...noted(fleet).keys()];
  assert.ok(before.some((key) => key.startsWith("store/")) && before.length >= 3);
  await fleet.sendRecords([gateRecord(metaOf(fleet), null)]);
  await spoil(fleet, "gate", ...before);
  await fleet.during(member.worker.stop());
  await fleet.join();
  await fleet.send(input.name, numbered(3), 0);
  await fleet.drained();
  const values = fleet.kafka.records("sums", { committed: true }).map(({ value }) => String(value));
  assert.equal(values.at(-1), "6");
  const reported = fleet.log.lines.filter(({ message }) =>
    message.startsWith("a note cannot be read: summed-meta-0"),
  );
  assert.ok(reported.length >= before.length);
  assert.match(
    reported[0]?.message ?? "",
    /key "[^"]+": it is not JSON; the last good one of its key counts/,
  );
});

test("a gate that nobody can know keeps the pipeline out, says so, and notes repair opens it", async () => {
  const fleet = new Fleet([copy]);
  await spoil(fleet, "gate");
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1), 0);
  await fleet.clock.advance(20_000);
  assert.equal(sent(fleet), 0);
  const why =
    'copy is closed: MILL_NOTE_INVALID a note cannot be read: copy-meta-0 at 0, key "gate": it is not JSON. To see and to repair it: npx millrace notes repair copy';
  assert.deepEqual(member.worker.whyPaused, [why]);
  const resumed = await resume(fleet, "copy");
  assert.equal(resumed.code, 1);
  assert.match(resumed.err[0] ?? "", /^MILL_NOTE_INVALID .*npx millrace notes repair copy$/);
  const dry = await notes(fleet, "repair", "copy");
  assert.equal(dry.code, 2);
  assert.match(
    dry.out[0] ?? "",
    /^copy-meta-0 at 0, key "gate": it is not JSON; there is no good one any more, so it is taken away: the pipeline goes on\./,
  );
  assert.equal(sent(fleet), 0);
  const done = await notes(fleet, "repair", "copy", "--yes");
  assert.deepEqual([done.code, done.err], [0, ["1 of 1 notes repaired."]]);
  await fleet.until("it goes on", () => sent(fleet) === 1);
});

test("a worker that runs is not disturbed by a gate that it knows to be open", async () => {
  const fleet = new Fleet([copy]);
  await fleet.join();
  await fleet.drained();
  await spoil(fleet, "gate");
  await fleet.clock.advance(5_000);
  await fleet.send(input.name, numbered(1), 0);
  await fleet.drained();
  assert.equal(sent(fleet), 1);
});

test("stores whose note is lost refuse the start with what repairs it", async () => {
  const fleet = new Fleet([summed]);
  const member = await fleet.join();
  await fleet.drained();
  await fleet.during(member.worker.stop());
  await spoil(fleet, storeKey("total"));
  await cleaned(fleet, 1n);
  await assert.rejects(fleet.join(), (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    const [{ code, message }] = error.problems as [ConfigErrors["problems"][0]];
    assert.equal(code, "MILL_NOTE_INVALID");
    assert.match(
      message,
      /summed-meta-0 at \d+, key "store\/total": it is not JSON\. To see and to repair it: npx millrace notes repair summed$/,
    );
    return true;
  });
});

test("notes show says of each whether it can be read, and what it said last", async () => {
  const fleet = new Fleet([copy]);
  await fleet.join();
  await fleet.drained();
  const good = await notes(fleet, "show", "copy");
  assert.equal(good.code, 0);
  assert.match(good.out[0] ?? "", /^TOPIC +KEY +OFFSET +VERDICT +SAYS, OR SAID LAST$/);
  assert.ok(
    good.out.some((line) => /start\/copy\.main\/in-0 .* good +\{"nextOffset":"0"/.test(line)),
  );
  await spoil(fleet, "start/copy.main/in-0", "gate\u001b[2J/x");
  const shown = await notes(fleet, "show", "copy", "--json");
  assert.equal(shown.code, 1);
  const wrongs = jsonOf<{ key: string; isGood: boolean; why: string; says: string | null }>(
    shown,
  ).filter(({ isGood }) => !isGood);
  assert.deepEqual(
    wrongs.map(({ key, why, says }) => [key, why, says !== null]),
    [
      ["gate\u001b[2J/x", "its key is none that Millrace writes", false],
      ["start/copy.main/in-0", "it is not JSON", true],
    ].slice(wrongs.length === 2 ? 0 : 1),
  );
  const again = await notes(fleet, "repair", "copy", "--yes", "--json");
  assert.equal(again.code, 0);
  assert.ok(jsonOf<{ writes: string }>(again).some(({ writes }) => writes === "last-good"));
  assert.equal((await notes(fleet, "show", "copy")).code, 0);
  assert.match((await notes(fleet, "repair", "copy")).err[0] ?? "", /^Every note can be read\.$/);
});

test("a batch that nobody can read keeps the pipeline out until notes repair passes over it", async () => {
  const fleet = new Fleet([summed]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1), 0);
  await fleet.drained();
  await spoil(fleet, "anything");
  const offset = BigInt(fleet.kafka.records(metaOf(fleet), { committed: false }).length - 1);
  fleet.kafka.spoil({ topic: metaOf(fleet), partition: 0, offset }, "MILL_BATCH_TOO_LARGE");
  await fleet.clock.advance(5_000);
  await fleet.send(input.name, numbered(2), 0);
  await fleet.drained();
  await fleet.during(member.worker.stop());

  // The gate, the stores and the next generation have no notes, and may have had one in it.
  const again = await fleet.join();
  const place = `summed-meta-0 at ${String(offset)}, key "batch/${String(offset)}": MILL_BATCH_TOO_LARGE, `;
  assert.ok(again.worker.whyPaused[0]?.includes(place), again.worker.whyPaused.join());
  const shown = await notes(fleet, "show", "summed");
  assert.equal(shown.code, 1);
  const done = await notes(fleet, "repair", "summed", "--yes");
  assert.match(done.out.join(), /it is passed over from now on/);
  assert.deepEqual([done.code, done.err], [0, ["1 of 1 notes repaired."]]);
  await fleet.send(input.name, numbered(3), 0);
  await fleet.drained();
  assert.equal((await notes(fleet, "show", "summed")).code, 0);
  const values = fleet.kafka.records("sums", { committed: true }).map(({ value }) => String(value));
  assert.equal(values.at(-1), "6");
});
