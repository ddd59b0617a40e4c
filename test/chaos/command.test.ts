// The command around chaos: what it understands, what it lists, and that a seed tells the order of faults.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { faults, impossible, scenarios } from "./catalogue.ts";
import { Plan } from "./flow.ts";
import { verdictOf, type ChaosResult, type RowResult } from "./result.ts";

const main = join(import.meta.dirname, "main.ts");

const chaos = (...args: readonly string[]): Promise<{ code: unknown; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    );
  });

test("help and the list of rows start nothing", async () => {
  const [help, list] = await Promise.all([chaos("--help"), chaos("--list")]);
  assert.deepEqual([help.code, list.code], [0, 0]);
  assert.match(help.out, /--faults 1,3,11\|all/);
  for (const { row, name } of [...faults, ...scenarios])
    assert.ok(list.out.includes(`${String(row).padStart(3)}  ${name}`), name);
  for (const { row, why } of impossible)
    assert.ok(list.out.includes(String(row)) && list.out.includes(why));
});

test("what it does not understand is usage, with the way to help", async () => {
  for (const args of [["--fault", "1"], ["--faults", "one"], ["--seed"], ["--faults", "99"]]) {
    const { code, err } = await chaos(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, /--help/);
  }
});

test("every asked row is there once, as a fault, a scenario, or with the reason why not", () => {
  const [first, more] = [Array.from({ length: 19 }, (_, i) => i + 1), [21, 23, 24, 25, 26]];
  const rest = [28, 29, 30, 31, 32, 33, 35, 36, 37, 38, 39, 40, 41, 42, 44, 46, 47];
  const asked = [...first, ...more, ...rest];
  const found = [...faults, ...scenarios].map(({ row }) => row).sort((a, b) => a - b);
  assert.deepEqual(found, asked);
});

test("a seed tells the order, every round has every fault, and another seed another order", () => {
  const round = (plan: Plan): number[] => faults.map(() => plan.next().row);
  const [one, same] = [new Plan(faults, 7), new Plan(faults, 7)];
  const first = round(one);
  assert.deepEqual(round(same), first);
  const second = round(one);
  assert.deepEqual(round(same), second);
  const rows = faults.map(({ row }) => row);
  for (const order of [first, second])
    assert.deepEqual(
      order.toSorted((a, b) => a - b),
      rows,
    );
  assert.notDeepEqual(first, second);
  assert.notDeepEqual(round(new Plan(faults, 8)), first);
});

test("a scenario that was given up is named by the verdict, and nothing of it is lost or doubled", () => {
  const row: RowResult = {
    ...{ row: 39, name: "retention", injected: "records deleted", runs: 1, givenUp: true },
    ...{ planned: 1, fired: 0, due: 0, lost: 0, doubled: 0, firstCommit: null, caughtUp: null },
    notes: ["given up"],
  };
  const timed = { due: 0, windows: 0, pairs: 0, pauses: 0, late: 0 };
  const counts = {
    records: 0,
    letters: 0,
    seenByReader: 0,
    ...timed,
    lost: 0,
    doubled: 0,
    wrong: 0,
  };
  const result: ChaosResult = {
    ...{ version: 1, seed: 7, minutes: 1, brokers: 1, startedAt: "", seconds: 1, plan: [39] },
    ...{ rows: [row], ...counts, workersStarted: 2, rssBytesMax: 0, filesMax: 0 },
    ...{ problems: ["row 39 given up: it was refused"], ok: false },
  };
  const verdict = verdictOf(result);
  assert.match(verdict, /^FAILED: .*lost 0, doubled 0, wrong 0, given up 39, problems 1$/);
  const ended = { ...result, rows: [{ ...row, givenUp: false }] };
  assert.doesNotMatch(verdictOf(ended), /given up/);
});
