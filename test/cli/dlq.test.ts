// `millrace dlq` on a fleet in memory: what it shows of letters, what it masks, and what it changes.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import type { CommandResult } from "../support/command.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import {
  everyFifth,
  expectedOf,
  flow,
  madeBy,
  numbers,
  right,
  rule,
  stateCounts,
  refused as refusedThings,
  table,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Every fifth of a hundred numbers was refused, and one record is no JSON; the rule is right again. */
async function refused(): Promise<{ fleet: Fleet; member: FleetMember }> {
  rule.refuses = everyFifth;
  const fleet = new Fleet([flow]);
  const member = await fleet.join();
  await fleet.sendRecords(numbers(0, 100));
  await fleet.send("in", [Buffer.from("no json")], 1);
  await fleet.drained();
  rule.refuses = right;
  return { fleet, member };
}

const dlq = (fleet: Fleet, ...argv: readonly string[]): Promise<CommandResult> =>
  fleetCommand(fleet, dlqVerb, ["dlq", ...argv]);

test("list counts letters by what went wrong, the most frequent first", async () => {
  const { fleet } = await refused();
  const { code, out } = await dlq(fleet, "list", "flow");
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^COUNT +CLASS +STEP +RULE +CODE +STATES +FIRST +LAST +EXAMPLE$/);
  assert.match(out[1] ?? "", /^20 +rule +fits +fits +MILL_RULE_BROKEN +20 open +20\d\d-/);
  assert.match(out[2] ?? "", /^1 +decode +in +- +MILL_DECODE_\w+ +1 open/);
  assert.equal(out.length, 3);
});

test("filters choose by class, rule, origin, key, time, id and state", async () => {
  const { fleet } = await refused();
  const count = async (...argv: readonly string[]): Promise<number> =>
    (await dlq(fleet, "list", "flow", "--letters", "--json", ...argv)).out.length;
  const [first] = jsonOf<{ id: string; partition: number; offset: number }>(
    await dlq(fleet, "list", "flow", "--letters", "--json", "--class", "rule"),
  );
  assert.ok(first !== undefined);
  assert.equal(await count(), 21);
  assert.equal(await count("--class", "decode"), 1);
  assert.equal(await count("--rule", "fits", "--step", "fits", "--part", "main"), 20);
  assert.equal(await count("--code", "MILL_RULE_BROKEN"), 20);
  assert.equal(await count("--origin", "in"), 21);
  const place = `in-${String(first.partition)}`;
  const inPartition = await count("--origin", place);
  assert.ok(inPartition > 1 && inPartition < 21);
  assert.equal(await count("--origin", `${place}:${String(first.offset)}`), 1);
  assert.equal(await count("--id", first.id.slice(0, 10)), 1);
  // 0, 35 and 70 of a hundred are of key k0 and refused.
  assert.equal(await count("--key", "k0"), 3);
  assert.equal(await count("--state", "open"), 21);
  assert.equal(await count("--state", "resolved,discarded"), 0);
  assert.equal(await count("--until", "1970-01-02"), 0);
  assert.equal(await count("--since", "1970-01-02"), 21);
});

const refusedTable = (): ReturnType<typeof refusedThings> => refusedThings(100, table);

test("letters of before a reset are shown when they are asked for, and counted by their own name", async () => {
  const { fleet, member } = await refused();
  await fleet.makeRedriveTopics();
  await fleet.during(member.worker.stop());
  const to = ["--part", "rows", "--to", "earliest", "--yes"];
  const main = ["--part", fleet.plans[0]?.parts[0]?.name ?? "", "--to", "latest", "--yes"];
  for (const argv of [to, main]) {
    const { code } = await fleetCommand(fleet, offsetsVerb, ["offsets", "reset", "flow", ...argv]);
    assert.equal(code, 0);
  }
  const count = async (...argv: readonly string[]): Promise<number> =>
    (await dlq(fleet, "list", "flow", "--letters", "--json", ...argv)).out.length;
  assert.deepEqual([await count(), await count("--generation", "0")], [21, 21]);
  const unknown = await dlq(fleet, "list", "flow", "--generation", "3");
  assert.equal(unknown.code, 3);
  assert.match(unknown.err.join(""), /generation 3 of letters; the last one is 2/);
});

test("letters whose records a reset reads again are over", async () => {
  const { fleet, member } = await refusedTable();
  await fleet.during(member.worker.stop());
  const reset = ["offsets", "reset", "table", "--to", "earliest", "--partition", "1", "--yes"];
  const { err } = await fleetCommand(fleet, offsetsVerb, reset);
  assert.match(err.join(""), /Open dead letters that are over then, as they are read again: 9/);
  const count = async (...argv: readonly string[]): Promise<number> =>
    (await dlq(fleet, "list", "table", "--letters", "--json", ...argv)).out.length;
  assert.deepEqual([await count(), await count("--state", "over")], [11, 9]);
  assert.equal(await count("--generation", "0"), 20);
  const [one] = jsonOf<{ id: string; reason: string; generation: number }>(
    await dlq(fleet, "list", "table", "--letters", "--json", "--state", "over"),
  );
  assert.equal(one?.reason, "reset: rows reads its record again in generation 1");
  assert.equal(one.generation, 0);
  const shown = await dlq(fleet, "show", "table", one.id);
  assert.match(shown.out.join("\n"), /state {6}over/);
  const stats = await dlq(fleet, "stats", "table");
  assert.match(stats.out.join("\n"), /^letters {3}11, seen from generation 1$/m);
  assert.match(stats.out.join("\n"), /^over {6}9 whose records a later generation reads again$/m);
  const [facts] = jsonOf<{ letters: number; over: number; generation: number }>(
    await dlq(fleet, "stats", "table", "--json"),
  );
  assert.deepEqual([facts?.letters, facts?.over, facts?.generation], [11, 9, 1]);
  rule.refuses = ({ n }) => n === 5;
  await fleet.join();
  await fleet.drained();
  const [again] = jsonOf<{ id: string; generation: number }>(
    await dlq(fleet, "list", "table", "--letters", "--json", "--key", "k5"),
  );
  assert.equal(again?.generation, 1);
  assert.match(
    (await dlq(fleet, "show", "table", again.id)).out.join("\n"),
    /reading {4}generation 1/,
  );
});

test("what cannot be is said", async () => {
  const { fleet } = await refused();
  const cases: readonly [readonly string[], number, RegExp][] = [
    [["list", "none"], 3, /pipeline none; there are: flow/],
    [["list", "flow", "--state", "new"], 2, /--state: expected open, redriven/],
    [["list", "flow", "--since", "soon"], 2, /--since/],
    [["show", "flow", "xyz"], 3, /no letter xyz/],
    [["show", "flow", ""], 2, /begins 21 ids/],
    [["redrive", "flow", "--rate", "0"], 2, /--rate/],
    [["redrive", "flow", "--from", "end"], 2, /--from: expected failed-step or start/],
    [["discard", "flow"], 2, /--reason/],
    [["discard", "flow", "--reason", "r"], 2, /Nothing was changed/],
  ];
  for (const [argv, code, message] of cases) {
    const result = await dlq(fleet, ...argv);
    assert.equal(result.code, code, argv.join(" "));
    assert.match(result.err.join("\n"), message);
  }
  assert.deepEqual(stateCounts(fleet), {});
});

test("show tells why a letter failed, its record decoded beside its bytes", async () => {
  const { fleet } = await refused();
  const [one] = jsonOf<{ id: string }>(
    await dlq(fleet, "list", "flow", "--letters", "--json", "--key", "k5"),
  );
  const { code, out } = await dlq(fleet, "show", "flow", one?.id ?? "");
  assert.equal(code, 0);
  const text = out.join("\n");
  assert.match(text, /failed {5}rule {2}MILL_RULE_BROKEN/);
  assert.match(text, /at {9}part main, transform fits, rule fits/);
  assert.match(text, /key {8}"k5"/);
  assert.match(text, /value {6}\{"id":"k5","n":5\}/);
  assert.ok(text.includes(Buffer.from('{"id":"k5","n":5}').toString("base64")));
  assert.match(text, /header {5}trace/);
  const [broken] = jsonOf<{ id: string }>(
    await dlq(fleet, "list", "flow", "--letters", "--json", "--class", "decode"),
  );
  const [shown] = jsonOf<{ value: unknown; error: string; valueBase64: string }>(
    await dlq(fleet, "show", "flow", broken?.id ?? "", "--json"),
  );
  assert.equal(shown?.value, null);
  assert.match(shown.error, /^MILL_DECODE/);
  assert.equal(Buffer.from(shown.valueBase64, "base64").toString(), "no json");
});

interface Person {
  readonly name: string;
  readonly age: number;
}
const people = topic("people", {
  key: string,
  value: json<Person>(),
  partitions: 1,
  owner: "tests",
  personalData: ["name"],
});
const adults = pipeline("adults", { haltWhen: "never" }, ({ from }) => {
  from(people)
    .expect("adult", ({ age }) => age >= 18, { otherwise: "dead-letter" })
    .to(topic("grown", { key: string, value: json<Person>(), partitions: 1, owner: "tests" }));
});

async function refusedPerson(): Promise<Fleet> {
  const fleet = new Fleet([adults]);
  await fleet.join();
  await fleet.send("people", [{ name: "Ada Canary", age: 3 }]);
  await fleet.drained();
  return fleet;
}

test("personal data is masked and its bytes are left out, unless it is asked for, which is noted", async () => {
  const fleet = await refusedPerson();
  const bytes = Buffer.from(JSON.stringify({ name: "Ada Canary", age: 3 })).toString("base64");
  const [one] = jsonOf<{ id: string }>(await dlq(fleet, "list", "adults", "--letters", "--json"));
  const id = one?.id ?? "";
  for (const argv of [
    ["show", "adults", id],
    ["show", "adults", id, "--json"],
    ["export", "adults"],
  ]) {
    const text = (await dlq(fleet, ...argv)).out.join("\n");
    assert.match(text, /"name":"\*\*\*","age":3/);
    assert.ok(!text.includes("Canary") && !text.includes(bytes), argv.join(" "));
  }
  assert.ok(!(await dlq(fleet, "stats", "adults")).out.some((line) => line.startsWith("audit")));
  for (const argv of [
    ["show", "adults", id, "--personal"],
    ["export", "adults", "--personal"],
  ]) {
    const { out, err } = await dlq(fleet, ...argv);
    assert.ok(out.join("\n").includes("Ada Canary") && out.join("\n").includes(bytes));
    assert.match(
      err[0] ?? "",
      /^Noted in adults-letter-states: .+@.+ looks at personal data of 1 letters/,
    );
  }
  const audits = (await dlq(fleet, "stats", "adults")).out.filter((line) => /^audit/.test(line));
  assert.equal(audits.length, 2);
  assert.match(audits.join("\n"), /dlq export --personal, 1 letters/);
  assert.match(audits.join("\n"), /dlq show --personal, 1 letters/);
  assert.ok(!audits.join("\n").includes("Canary"));
});

test("export writes one object a letter, to a file that its owner alone can read", async (t) => {
  const { fleet } = await refused();
  const folder = mkdtempSync(join(tmpdir(), "letters-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const out = join(folder, "letters.ndjson");
  const { code, out: lines, err } = await dlq(fleet, "export", "flow", "--out", out);
  assert.deepEqual([code, lines, err], [0, [], [`21 letters exported to ${out}`]]);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const written = readFileSync(out, "utf8").trimEnd().split("\n");
  assert.equal(written.length, 21);
  const [first] = written.map((line) => JSON.parse(line) as { keyBase64: string; key: string });
  assert.equal(Buffer.from(first?.keyBase64 ?? "", "base64").toString(), first?.key);
  assert.equal((await dlq(fleet, "export", "flow", "--class", "rule")).out.length, 20);
});

test("a dry run of a redrive shows what would go where, and sends nothing", async () => {
  const { fleet } = await refused();
  const { code, out, err } = await dlq(fleet, "redrive", "flow", "--rule", "fits", "--dry-run");
  assert.equal(code, 0);
  assert.match(out[1] ?? "", /^20 +rule +fits/);
  assert.match(out.join("\n"), /main +in +0 +\d+\nmain +in +1 +\d+/);
  assert.deepEqual(err, ["20 letters would go to flow-redrive. Nothing was changed."]);
  for (const topic of ["flow-redrive", "flow-letter-states"])
    assert.equal(fleet.kafka.hasTopic(topic), false);
});

test("a redrive sends what was chosen, waits for it, and says what became of it", async () => {
  const { fleet } = await refused();
  const { code, out, err } = await dlq(fleet, "redrive", "flow", "--rule", "fits", "--wait");
  assert.equal(code, 0, err.join("\n"));
  assert.match(out[0] ?? "", /^redrive-\w+: 20 letters sent back, 0 refused$/);
  assert.equal(out[1], "20  resolved: emitted");
  assert.ok(
    err.some((line) => /^20 records sent back in .*\/s$/.test(line)),
    err.join("\n"),
  );
  assert.ok(err.some((line) => /^20 records processed again in/.test(line)));
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
  const again = await dlq(fleet, "redrive", "flow", "--rule", "fits");
  assert.deepEqual([again.code, again.err], [0, ["No open letter matches."]]);
});

test("what fails again is exit 1 with the reason, is parked in the end, and is taken again only by --parked", async () => {
  const { fleet } = await refused();
  const argv = ["redrive", "flow", "--class", "decode", "--max", "1", "--wait", "--json"];
  const { code, out } = await dlq(fleet, ...argv);
  assert.equal(code, 1);
  const { ends, sent } = JSON.parse(out[0] ?? "") as { ends: Record<string, number>; sent: number };
  assert.equal(sent, 1);
  assert.match(Object.keys(ends).join(), /^parked: MILL_DECODE/);
  assert.match((await dlq(fleet, "list", "flow", "--class", "decode")).out[1] ?? "", /1 parked/);
  assert.deepEqual((await dlq(fleet, ...argv)).err, ["No open letter matches."]);
  assert.equal((await dlq(fleet, ...argv, "--parked")).code, 1);
});

test("without a worker it says that letters wait, and a limit ends the waiting", async () => {
  const { fleet, member } = await refused();
  await fleet.during(member.worker.stop());
  const { code, out, err } = await dlq(fleet, "redrive", "flow", "--rule", "fits", "--wait", "3");
  assert.equal(code, 1);
  assert.ok(err.includes("No worker runs main: they are processed when one does."));
  assert.equal(out[1], "20  on their way");
});

test("--from start is what failed-step does where the part reads a topic of others, and is refused elsewhere", async () => {
  const { fleet } = await refused();
  assert.equal((await dlq(fleet, "redrive", "flow", "--from", "start", "--rule", "fits")).code, 0);
  const inner = pipeline("inner", { haltWhen: "never" }, ({ from }) => {
    from(people)
      .rekey("by-age", ({ age }) => String(age))
      .expect("adult", ({ age }) => age >= 18, { otherwise: "dead-letter" })
      .to(topic("grown", { key: string, value: json<Person>(), partitions: 1, owner: "tests" }));
  });
  const other = new Fleet([inner]);
  await other.join();
  await other.send("people", [{ name: "a", age: 3 }]);
  await other.drained();
  const { code, err } = await dlq(other, "redrive", "inner", "--from", "start");
  assert.equal(code, 2);
  assert.match(err[0] ?? "", /MILL_REDRIVE_REFUSED .*failed behind inner-by-age-repartition/);
  assert.equal((await dlq(other, "redrive", "inner")).code, 0);
});

test("discard gives letters up with a reason, and notes who did it", async () => {
  const { fleet } = await refused();
  const argv = ["discard", "flow", "--class", "decode", "--reason", "a test record"];
  assert.equal((await dlq(fleet, ...argv, "--dry-run")).code, 0);
  assert.deepEqual(stateCounts(fleet), {});
  const { code, err } = await dlq(fleet, ...argv, "--yes");
  assert.deepEqual([code, err], [0, ["1 letters discarded: a test record"]]);
  assert.deepEqual(stateCounts(fleet), { discarded: 1 });
  assert.equal((await dlq(fleet, "redrive", "flow", "--class", "decode")).out.length, 1);
  assert.deepEqual(stateCounts(fleet), { discarded: 1 });
  const stats = await dlq(fleet, "stats", "flow");
  assert.ok(stats.out.some((line) => /^audit .*dlq discard, 1 letters: a test record$/.test(line)));
  assert.ok(stats.out.includes("states    open 20, discarded 1"), stats.out.join("\n"));
});

test("stats counts letters by state, class, part, topic and redrives, and tells the last job", async () => {
  const { fleet } = await refused();
  await dlq(fleet, "redrive", "flow", "--rule", "fits", "--wait");
  const [stats] = jsonOf<Record<string, unknown>>(await dlq(fleet, "stats", "flow", "--json"));
  const { states, classes, parts, topics, redrives, letters, foreign } = stats ?? {};
  assert.deepEqual([letters, foreign], [21, 0]);
  assert.deepEqual(states, { resolved: 20, open: 1 });
  assert.deepEqual(classes, { rule: 20, decode: 1 });
  assert.deepEqual([parts, topics, redrives], [{ main: 21 }, { in: 21 }, { 0: 1, 1: 20 }]);
  const job = stats?.["job"] as { state: string; sent: number; chosen: number };
  assert.deepEqual([job.state, job.sent, job.chosen], ["done", 20, 20]);
});

test("--cancel with nothing to cancel says so", async () => {
  const { fleet } = await refused();
  const { code, err } = await dlq(fleet, "redrive", "flow", "--cancel");
  assert.deepEqual([code, err], [0, ["No redrive runs."]]);
});
