// Records, letters and state whose keys, values, headers and messages hold control sequences, shown by every command
// that shows them as text.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { json, nullable, pipeline, string, topic } from "#engine";
import type { PlansOf } from "../../src/cli/connection.ts";
import { consumeVerb } from "../../src/cli/consume.ts";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import type { Register } from "../../src/cli/io.ts";
import { lagVerb } from "../../src/cli/lag.ts";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import type { ConnectOperate } from "../../src/cli/operating.ts";
import { stateVerb } from "../../src/cli/state.ts";
import { RejectFile } from "../../src/data/import/reject-file.ts";
import { printable } from "../../src/data/printable.ts";
import { command } from "../support/command.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";

/** Clears the screen, writes the clipboard (OSC 52), begins a line of its own, C1, DEL, turns the direction. */
const EVIL = "a\u001b[2J\u001b]52;c;aGk=\u0007\r\nok 0@0\t\u009b31m\u007f\u202eb\u2028c\0";
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029]/;

const input = topic("in", {
  key: nullable(string),
  value: json<{ text: string }>(),
  partitions: 1,
  owner: "tests",
});
const counts = topic("counts", {
  key: string,
  value: json<number>(),
  partitions: 1,
  owner: "tests",
});
const flow = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .map("check", (value) => {
      if (value.text.endsWith("!")) throw new Error(`refused: ${value.text}`);
      return value;
    })
    .groupBy("by-text", ({ text }) => text)
    .count("texts")
    .to(counts);
});

async function worked(): Promise<Fleet> {
  const fleet = new Fleet([flow]);
  await fleet.join();
  const headers = [[EVIL, Buffer.from(EVIL)]] as const;
  await fleet.sendRecords(
    [EVIL, `${EVIL}!`].map((text) => ({
      topic: "in",
      partition: 0,
      key: Buffer.from(EVIL),
      value: Buffer.from(JSON.stringify({ text })),
      headers,
      timestamp: fleet.clock.now(),
    })),
  );
  await fleet.send("in", [Buffer.from(`{"te${EVIL}`)], 0);
  await fleet.drained();
  return fleet;
}

type Verb = (connect: ConnectOperate, plans: PlansOf) => Register;

const typed = (verb: Verb, ...argv: string[]) => [verb, argv] as const;

test("no command prints what a terminal would obey", async () => {
  const fleet = await worked();
  const run = (verb: Verb, ...argv: string[]) => fleetCommand(fleet, verb, argv);
  const letters = await run(dlqVerb, "dlq", "list", "flow", "--letters", "--json");
  const ids = jsonOf<{ id: string }>(letters).map(({ id }) => id);
  assert.equal(ids.length, 2);
  const commands = [
    typed(consumeVerb, "consume", "in"),
    typed(consumeVerb, "consume", "counts"),
    typed(consumeVerb, "consume", "flow-by-text-repartition"),
    typed(consumeVerb, "consume", "in", "--key", EVIL),
    typed(consumeVerb, "consume", EVIL),
    typed(dlqVerb, "dlq", "list", "flow"),
    typed(dlqVerb, "dlq", "list", "flow", "--letters"),
    typed(dlqVerb, "dlq", "stats", "flow"),
    typed(dlqVerb, "dlq", "export", "flow"),
    ...ids.map((id) => typed(dlqVerb, "dlq", "show", "flow", id)),
    typed(dlqVerb, "dlq", "list", "flow", "--step", EVIL),
    typed(stateVerb, "state", "get", "flow", "texts", "--key", EVIL),
    typed(stateVerb, "state", "get", "flow", "texts", "--key", `${EVIL}-`),
    typed(stateVerb, "state", "get", EVIL, "texts", "--key", "a"),
    typed(ledgerVerb, "ledger", "flow"),
    typed(lagVerb, "lag", "flow"),
  ];
  const lines: string[] = [];
  for (const [verb, argv] of commands) {
    const { out, err } = await run(verb, ...argv);
    lines.push(...out, ...err);
  }
  for (const line of lines) assert.doesNotMatch(line, UNSAFE, JSON.stringify(line));
  const seen = lines.filter((line) => line.includes(printable(EVIL)));
  assert.ok(seen.length >= 6, `the sequences are shown, escaped, in ${String(seen.length)} lines`);
});

test("JSON stays the same JSON", async () => {
  const fleet = await worked();
  const all = jsonOf<{ key: string; value: { text: string } | null }>(
    await fleetCommand(fleet, consumeVerb, ["consume", "in", "--json"]),
  );
  assert.deepEqual(all[0], { ...all[0], key: EVIL, value: { text: EVIL } });
});

test("a message that quotes another text cannot begin a line as one of ours", async () => {
  const { err } = await command(
    (program, run) => {
      program.command("fail").action(() => run(() => Promise.reject(new Error(`no: ${EVIL}`))));
    },
    ["fail"],
  );
  for (const line of err) assert.doesNotMatch(line, UNSAFE);
});

test("a terminal and a pipe get the same", async () => {
  const printed = async (isTty: boolean): Promise<readonly string[]> => {
    const lines: string[] = [];
    const io = { env: {}, cwd: ".", isTty, out: (line: string) => void lines.push(line), err() {} };
    const { main } = await import("../../src/cli/main.ts");
    await main(["say"], io, [
      (program, run) => {
        program.command("say").action(() =>
          run((at) => {
            at.out(EVIL);
            return Promise.resolve(0);
          }),
        );
      },
    ]);
    return lines;
  };
  assert.deepEqual(await printed(true), await printed(false));
  assert.deepEqual(await printed(true), [printable(EVIL)]);
});

test("nothing but the io of the command line writes to the terminal", () => {
  const files = readdirSync("src/cli", { recursive: true, encoding: "utf8" });
  const own = new Set(["main.ts", "errors-doc.ts"]);
  for (const name of files.filter((file) => file.endsWith(".ts") && !own.has(file)))
    assert.doesNotMatch(
      readFileSync(join("src/cli", name), "utf8"),
      /process\.std(out|err)\.write|console\./,
      name,
    );
});

test("a file of rejected rows has no cell that a spreadsheet works out", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-reject-"));
  try {
    const path = join(folder, "rejected.csv");
    const file = new RejectFile(path, 2);
    const fields = ["=1+1", "+A1", "-A1", "@SUM(A1)", "\tx", "plain"];
    file.add({
      line: 2,
      problems: fields.map((field) => ({ field, message: "no" })),
      isLast: false,
    });
    const lines = readFileSync(path, "utf8").split("\n");
    const cells = ["'=1+1", "'+A1", "'-A1", "'@SUM(A1)", "'\tx", "plain"];
    assert.deepEqual(lines, ["line,column,reason", ...cells.map((cell) => `2,${cell},no`), ""]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
