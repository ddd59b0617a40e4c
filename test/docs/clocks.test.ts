// A wall clock is set while a process runs, so nothing is measured by it: `Clock.monotonic` says how long something takes.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** Files that reckon with the wall clock, and what they compare it with. */
const reckonings: Readonly<Record<string, string>> = {
  "src/data/lag.ts": "times of producers",
  "src/engine/clients/kafkajs/overrides/request-queue.ts": "a time that the library sets",
  "src/engine/reprocess/control/controller.ts": "a time in the database",
  "src/engine/reprocess/verify/verification.ts": "a time in the database",
  "src/engine/runtime/calls/alarm.ts": "a time that is stored, asked for again each minute",
  "src/engine/runtime/calls/queued-keys.ts": "dues that are stored, as far off as a pause may be",
  "src/engine/runtime/housekeeping/lag.ts":
    "times of producers and appends; a clock set back counts",
  "src/engine/state/changelog/follow.ts": "the time that a copy is stored with",
  "src/engine/testing/memory-kafka/broker/topics.ts": "timestamps of records",
  "src/engine/testing/steps.ts": "times in values",
  "src/engine/transform/calls/map-async.ts": "a due, as far off as a pause may be",
  "src/engine/transform/calls/policy.ts": "a due that is stored",
};

/** Readings of the wall clock, and sums and comparisons with one: by itself, or by the name that it was given. */
function reckonsIn(text: string): readonly string[] {
  const named = [...text.matchAll(/\b(?:const|let) (\w+) = [^;]*?(?<!performance\.)\bnow\(\);/g)];
  const read = [...new Set(named.map(([, name = ""]) => name))];
  const operand = String.raw`(?:[\w.#]*\bnow\(\)${read.map((name) => `|\\b${name}\\b`).join("")})`;
  const reckons = new RegExp(`${operand} (?:[-+]|[<>]=?) |(?:[-+]|(?<!=)[<>]=?) ${operand}`);
  return text
    .split("\n")
    .filter((line) => !/^\s*(?:\/\/|\*|\/\*)/.test(line) && !line.includes("performance.now()"))
    .filter((line) => reckons.test(line));
}

test("no span, pause or limit is measured by the wall clock", () => {
  const found = globSync("src/**/*.ts", { cwd: root }).filter(
    (path) => reckonsIn(readFileSync(join(root, path), "utf8")).length > 0,
  );
  assert.deepEqual(found.sort(), Object.keys(reckonings).sort());
});

test("what reckons with a wall clock is found, by itself and by a name", () => {
  const found = (text: string): number => reckonsIn(text).length;
  assert.equal(found("const endMs = clock.now() + waitMs;"), 1);
  assert.equal(found("if (this.#clock.now() >= untilMs) return;"), 1);
  assert.equal(found("const startMs = ports.clock.now();\nreturn limitMs - startMs;"), 1);
  assert.equal(found("const atMs = clock.now();\nreturn { atMs, owner };"), 0);
  assert.equal(found("const endMs = clock.monotonic() + waitMs;"), 0);
});
