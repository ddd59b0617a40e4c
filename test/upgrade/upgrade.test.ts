// The way up: what release 0.1.0 left behind in its servers, recorded once by its own code, is taken over by this release.
// Then all is worked off, and has come to what 0.1.0 itself came to on the same data.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Stack } from "../../src/stack/stack.ts";
import { privateStack } from "../support/stack.ts";
import { load } from "./load.ts";
import { answerOf, workOff } from "./onward.ts";
import { readAnswer, readRecording, type Letter } from "./recording.ts";
import { Session } from "./session.ts";

const RELEASE = "0.1.0";
const root = join(import.meta.dirname, "../..");
const recording = readRecording(RELEASE);
const answer = readAnswer(RELEASE);
let stack: Stack;

/** Three pipelines, some thirty processes: on a busy machine this takes minutes. */
const LIMIT = { timeout: 900_000 };

before(async () => {
  stack = await privateStack();
  await load(recording, stack.env);
}, LIMIT);

let works: (() => Promise<void>)[] = [];
after(async () => {
  for (const work of works.reverse()) await work();
  works = [];
});

test(
  "what 0.1.0 has left is worked off to what 0.1.0 itself would have come to",
  LIMIT,
  async (t) => {
    const owner = { after: (work: () => Promise<void>) => void works.push(work) };
    const session = await Session.open({
      ...{ root, app: "test/upgrade/app.ts", env: stack.env, owner },
    });
    await session.provide();
    await t.test("letters are as they were", async () => {
      const before = recording.letters.filter((one) => !isTakenByRun(one));
      assert.equal(before.length, recording.letters.length - 1);
      same(
        (await session.letters()).filter((one) => !isTakenByRun(one)),
        before,
      );
    });
    await workOff(session);
    const found = await answerOf(session);
    await t.test("rows", () => same(found.tables, answer.tables));
    await t.test("output topics, key by key", () => same(found.topics, answer.topics));
    await t.test("dead letters", () => same(found.letters, answer.letters));
    await t.test("ledgers", () => same(withoutBehind(found.ledgers), answer.ledgers));
  },
);

/** Records behind time are no outcome, and 0.1.0 did not count them. */
const withoutBehind = (ledgers: object): object =>
  JSON.parse(
    JSON.stringify(ledgers, (word, count: unknown) => (word === "behind" ? undefined : count)),
  ) as object;

/** 0.1.0 called a letter discarded when a promoted run had processed its record; later releases show it no more. */
const isTakenByRun = ({ pipeline, state }: Letter): boolean =>
  pipeline === "till" && state === "discarded";

/** Entry by entry, so that a failure shows those that differ and not thousands that do not. */
function same(found: object, wanted: object): void {
  const [have, want] = [linesOf(found), linesOf(wanted)];
  const without = (lines: readonly string[], others: readonly string[]): string[] => {
    const left = new Map(
      Map.groupBy(others, (line) => line)
        .entries()
        .map(([line, all]) => [line, all.length]),
    );
    return lines.filter((line) => {
      const count = left.get(line) ?? 0;
      left.set(line, count - 1);
      return count <= 0;
    });
  };
  assert.deepEqual(
    { missing: without(want, have), extra: without(have, want) },
    { missing: [], extra: [] },
  );
}

const linesOf = (of: object): string[] =>
  Object.entries(of).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === "object" && value !== null && !Array.isArray(of))
      return linesOf(value).map((line) => `${name}: ${line}`);
    return Array.isArray(of) ? [JSON.stringify(value)] : [`${name}: ${JSON.stringify(value)}`];
  });
