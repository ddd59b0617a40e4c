// What every command means by a time and by --yes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exitUnlessYes, timeOption } from "../../src/cli/option-values.ts";
import { targetOf } from "../../src/cli/reset-target.ts";
import type { CliIo } from "../../src/cli/io.ts";

test("a time is a day, an ISO time or epoch milliseconds, in every command", () => {
  const day = Date.UTC(2026, 0, 5);
  const cases: [string, number][] = [
    ["2026-01-05", day],
    ["2026-01-05T11:53", day + 42_780_000],
    ["2026-01-05 11:53:26", day + 42_806_000],
    ["2026-01-05T11:53:26Z", day + 42_806_000],
    ["2026-01-05T13:53:26+02:00", day + 42_806_000],
    [String(day), day],
  ];
  for (const [text, epochMs] of cases) {
    assert.equal(timeOption("--from", text, ""), epochMs, text);
    assert.deepEqual(targetOf(text, 0), { kind: "time", epochMs }, text);
    assert.deepEqual(targetOf(`time:${text}`, 0), { kind: "time", epochMs }, text);
  }
});

test("a day that no calendar has, and a time that is none, are refused", () => {
  for (const text of ["2026-02-30", "2026-13-01", "2026-1-5", "yesterday", "05.01.2026", "12"]) {
    const words = { code: "MILL_USAGE", message: /--to: expected .*a day such as 2026-01-05/ };
    assert.throws(() => targetOf(text, 0), words, text);
  }
});

const said: string[] = [];
const io = (isTty: boolean, answer?: string): CliIo => ({
  env: {},
  cwd: "/",
  isTty,
  out: () => undefined,
  err: (line) => void said.push(line),
  ...(answer === undefined ? {} : { ask: () => Promise.resolve(answer) }),
});

test("--yes does it without asking; a terminal is asked; elsewhere the option is needed", async () => {
  assert.equal(await exitUnlessYes(io(false), { yes: true }, "changed"), null);
  assert.equal(await exitUnlessYes(io(true, "no"), { yes: true }, "changed"), null);
  assert.equal(await exitUnlessYes(io(true, "yes"), {}, "changed"), null);
  assert.deepEqual(said, []);
  assert.equal(await exitUnlessYes(io(true, "12"), {}, "dropped"), 2);
  assert.equal(await exitUnlessYes(io(false, "yes"), {}, "changed"), 2);
  assert.deepEqual(said, [
    "Nothing was dropped. Add --yes to do it.",
    "Nothing was changed. Add --yes to do it.",
  ]);
  assert.equal(await exitUnlessYes(io(true, "yes"), { yes: true, dryRun: true }, "changed"), 0);
});
