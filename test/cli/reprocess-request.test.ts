// Options of `reprocess plan` and `reprocess run` as values, and what is said of wrong ones.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { requestOf, type RangeOptions } from "../../src/cli/reprocess/request.ts";
import { MillraceError } from "../../src/engine/core/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-request-"));
after(() => rmSync(folder, { recursive: true }));
const io = { env: {}, cwd: folder, isTty: false, out: () => undefined, err: () => undefined };
const request = (options: RangeOptions) => requestOf(options, io);

test("without options everything that is there now is read into tables of the run's own, yielding at ten seconds", () => {
  const { target, range, options } = request({});
  assert.equal(target, "shadow");
  assert.deepEqual(
    [range.from, range.to, range.marginMs],
    [{ kind: "earliest" }, { kind: "latest" }, 600_000],
  );
  assert.deepEqual(
    { ...options },
    {
      source: { kind: "kafka" },
      rate: null,
      lagLimitMs: 10_000,
      workers: 1,
      follow: false,
      end: "close",
      lettersMax: null,
    },
  );
});

test("a run that goes on keeps its windows open, any other closes them unless it is said", () => {
  const endOf = (options: RangeOptions) => request(options).options.end;
  assert.deepEqual([endOf({}), endOf({ follow: true })], ["close", "keep"]);
  assert.deepEqual([endOf({ end: "keep" }), endOf({ end: "close" })], ["keep", "close"]);
  assert.throws(() => endOf({ end: "later" }), /--end.*close or keep/);
  assert.throws(() => endOf({ end: "close", follow: true }), /--follow/);
});

test("a date is the start of its day in UTC; times may be ISO or epoch ms", () => {
  const from = (text: string) => request({ from: text }).range.from;
  const day = Date.UTC(2026, 0, 5);
  assert.deepEqual(from("2026-01-05"), { kind: "time", epochMs: day });
  assert.deepEqual(from("2026-01-05T01:30:00+01:30"), { kind: "time", epochMs: day });
  assert.deepEqual(from("2026-01-05T00:00:00"), { kind: "time", epochMs: day });
  assert.deepEqual(from(String(day)), { kind: "time", epochMs: day });
  assert.deepEqual(from("earliest"), { kind: "earliest" });
});

test("offsets come from options and from a file", () => {
  writeFileSync(join(folder, "offsets.json"), '{"from": {"a.b-c-0": 1}, "to": {"a.b-c-0": 9}}');
  const { range } = request({
    offsets: "offsets.json",
    fromOffset: ["a.b-c-1=2"],
    toOffset: ["x-0=3"],
  });
  assert.deepEqual(range.fromOffsets, [
    { topic: "a.b-c", partition: 0, nextOffset: 1n },
    { topic: "a.b-c", partition: 1, nextOffset: 2n },
  ]);
  assert.deepEqual(range.toOffsets, [
    { topic: "a.b-c", partition: 0, nextOffset: 9n },
    { topic: "x", partition: 0, nextOffset: 3n },
  ]);
});

test("beside a file or the dead letters nothing else is read unless it is asked for", () => {
  assert.equal(request({ deadLetters: true }).range.from, null);
  const file = { file: "a.csv", topic: "a" };
  assert.equal(request(file).range.from, null);
  assert.deepEqual(request(file).options.source, {
    kind: "file",
    path: join(folder, "a.csv"),
    topic: "a",
    key: null,
  });
  assert.deepEqual(request({ ...file, from: "earliest" }).range.from, { kind: "earliest" });
});

test("dead letters are allowed up to a count or a share", () => {
  assert.deepEqual(request({ failOnLetters: "5%" }).options.lettersMax, { share: 0.05 });
  assert.deepEqual(request({ failOnLetters: "0" }).options.lettersMax, { count: 0 });
});

test("wrong options are usage, and say what was expected", () => {
  writeFileSync(join(folder, "bad.json"), '{"from": {"a-0": -1}}');
  const cases: readonly [RangeOptions, RegExp][] = [
    [{ from: "yesterday" }, /--from: expected earliest, a day/],
    [{ to: "2026-13-45" }, /--to: expected latest, a day/],
    [{ fromOffset: ["nothing"] }, /--from-offset: expected topic-partition=offset/],
    [{ offsets: "none.json" }, /--offsets none.json: ENOENT/],
    [{ offsets: "bad.json" }, /--offsets bad.json: /],
    [{ file: "a.csv" }, /say with --topic/],
    [{ key: "id" }, /go with --file/],
    [{ file: "a.csv", topic: "a", deadLetters: true }, /either --file or --dead-letters/],
    [{ file: "a.csv", topic: "a", follow: true }, /only a range of Kafka/],
    [{ workers: "65" }, /expected 1 to 64/],
    [{ rate: "0" }, /--rate: expected a whole number of at least 1/],
    [{ failOnLetters: "half" }, /expected a count or a share/],
    [{ failOnLetters: "101%" }, /expected a count or a share/],
    [{ failOnLetters: "1.5" }, /expected a count or a share/],
  ];
  for (const [options, text] of cases)
    assert.throws(
      () => request(options),
      (error: unknown) =>
        error instanceof MillraceError && error.code === "MILL_USAGE" && text.test(error.message),
      JSON.stringify(options),
    );
});
