// Long files: bad rows, a stop in the middle, and the way on.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { produceVerb } from "../../src/cli/produce.ts";
import type { Connect } from "../../src/cli/connection.ts";
import { DEFAULT_PLAN_SETTINGS, type PlanSettings } from "../../src/engine/core/plan-settings.ts";
import { plansOf } from "../../src/engine/define/plans.ts";
import { pipelines } from "../../src/pipelines/index.ts";
import { command, MemoryServers, type CommandResult } from "../support/command.ts";

const plans = (settings: PlanSettings) => plansOf(pipelines, settings);
const folder = mkdtempSync(join(tmpdir(), "millrace-import-"));
after(() => rmSync(folder, { recursive: true }));
const HEADER = "product_id,name,category\n";
const file = (name: string, rows: string): string => {
  const path = join(folder, name);
  writeFileSync(path, HEADER + rows);
  return path;
};
const goods = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `p-${String(from + i)},kettle,home\n`).join("");

const start = (change: (connect: Connect) => Connect = (connect) => connect) => {
  const servers = new MemoryServers(plans(DEFAULT_PLAN_SETTINGS));
  return {
    servers,
    produce: (...argv: string[]): Promise<CommandResult> =>
      command(produceVerb(change(servers.connect), plans), ["produce", ...argv]),
    keys: (): string[] =>
      servers.kafka.records("products", { committed: true }).map(({ key }) => String(key)),
  };
};
const numbers = (keys: readonly string[]): number[] =>
  keys.map((key) => Number(key.slice(2))).sort((a, b) => a - b);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const said = ({ err }: CommandResult): string => err.join("\n");

test("a check names every invalid row of a file and sends nothing, without any server", async () => {
  const { produce, keys, servers } = start(() => () => Promise.reject(new Error("connected")));
  const bad = file("check.csv", `${goods(1, 3)}p-4,lamp\n${goods(5, 6)},"lost"x,home\n`);
  const checked = await produce("products", "--file", bad, "--check");
  assert.equal(checked.code, 1);
  assert.deepEqual(checked.out, [
    "line 5: expected as many cells as the header has",
    "line 8: expected a comma or the end of the line behind a closing quotation mark",
  ]);
  assert.match(
    said(checked),
    /MILL_DATA_INVALID .*check\.csv: 2 of 7 rows are invalid, nothing was/,
  );
  assert.doesNotMatch(said(checked), /lamp|lost/);
  const asJson = await produce("products", "--file", bad, "--check", "--json");
  const { valid, invalid, problems } = JSON.parse(asJson.out[0] ?? "") as Record<string, unknown>;
  assert.deepEqual(
    [valid, invalid, (problems as unknown[])[0]],
    [5, 2, { line: 5, column: "", reason: "expected as many cells as the header has" }],
  );
  const good = await produce("products", "--file", file("good.csv", goods(1, 9)), "--check");
  assert.deepEqual(
    [good.code, good.out],
    [0, ["9 rows are records of products; nothing was sent"]],
  );
  assert.deepEqual([keys(), servers.closed], [[], 0]);
});

test("at an invalid row everything before it is sent, and the message's own command sends the rest", async () => {
  const { produce, keys } = start();
  const path = file("stop.csv", `${goods(1, 6_000)}p-6001,lamp\n${goods(6_002, 7_000)}`);
  const stopped = await produce("products", "--file", path);
  assert.equal(stopped.code, 1);
  assert.deepEqual(numbers(keys()), upTo(6_000));
  const words = said(stopped);
  assert.match(words, /stop\.csv line 6002: expected as many cells as the header has/);
  assert.match(words, /6,000 records were sent, of the lines up to 6001\. To go on: npx millrace/);
  const [, next = ""] = /npx millrace (produce .*--from-line \d+)/.exec(words) ?? [];
  const argv = next.split(" ").slice(1);

  const again = await produce("products", "--file", path);
  assert.equal(again.code, 5, "nothing is sent twice by the same command");
  assert.match(said(again), /MILL_IMPORT_BEGUN .*lines of .*stop\.csv before 6002 are in products/);
  assert.ok(said(again).includes(next), said(again));
  assert.equal(keys().length, 6_000);

  writeFileSync(path, HEADER + goods(1, 7_000));
  const rest = await produce(...argv);
  assert.deepEqual(rest.out, ["1,000 records sent to products"]);
  assert.deepEqual(numbers(keys()), upTo(7_000));
  assert.equal(
    (await produce("products", "--file", path)).code,
    0,
    "a whole file may be sent again",
  );
  assert.equal(keys().length, 14_000);
});

test("rows that an unfinished command has sent are sent again with --again only", async () => {
  const { produce, keys } = start();
  const path = file("again.csv", `${goods(1, 3)}p-4\n`);
  await produce("products", "--file", path);
  assert.equal((await produce("products", "--file", path, "--from-line", "3")).code, 5);
  assert.equal(keys().length, 3);
  await produce("products", "--file", path, "--again");
  assert.equal(keys().length, 6);
});

test("invalid rows are skipped and counted, or written down with line, column and reason", async () => {
  const { produce, keys } = start();
  const path = file(
    "skip.csv",
    `${goods(1, 2)}p-3,lamp\n${goods(4, 4)}x"y,lamp,home\n${goods(6, 6)}`,
  );
  const skipped = await produce("--on-invalid", "skip", "products", "--file", path);
  assert.deepEqual(skipped.out, ["4 records sent to products; 2 invalid rows skipped"]);
  assert.deepEqual([skipped.code, numbers(keys())], [0, [1, 2, 4, 6]]);

  const rejects = join(folder, "rejects.csv");
  for (const argv of [
    ["products", "--on-invalid", "reject-file", rejects, "--file", path],
    ["--file", path, "--json", "--on-invalid", "reject-file", rejects, "products"],
  ]) {
    const { code, out } = await produce(...argv);
    assert.equal(code, 0);
    if (argv.includes("--json"))
      assert.equal((JSON.parse(out[0] ?? "") as { invalid: number }).invalid, 2);
    else assert.deepEqual(out, [`4 records sent to products; 2 invalid rows in ${rejects}`]);
    assert.deepEqual(readFileSync(rejects, "utf8").split("\n"), [
      "line,column,reason",
      "4,,expected as many cells as the header has",
      "6,,expected a quotation mark only at the beginning of a cell",
      "",
    ]);
  }
});

test("an import that goes on keeps what it wrote of lines before, once", async () => {
  const { produce } = start();
  const rejects = join(folder, "kept.csv");
  writeFileSync(rejects, "line,column,reason\n3,,a\n9,,b\n");
  const path = file("kept-rows.csv", `${goods(1, 7)}p-8,lamp\n${goods(9, 9)}`);
  const how = ["--on-invalid", "reject-file", rejects, "--from-line", "8"];
  const { out } = await produce("products", "--file", path, ...how);
  assert.deepEqual(out, [`2 records sent to products; 1 invalid rows in ${rejects}`]);
  assert.deepEqual(readFileSync(rejects, "utf8").split("\n").slice(1), [
    "3,,a",
    "9,,expected as many cells as the header has",
    "",
  ]);
});

test("a file that is not ours is not overwritten by rejects, nor the file that is sent", async () => {
  const { produce, keys } = start();
  const path = file("mine.csv", goods(1, 2));
  const other = file("other.csv", goods(1, 2));
  for (const [rejects, words] of [
    [path, /this is the file that is sent/],
    [other, /is another file/],
  ] as const) {
    const refused = await produce(
      "products",
      "--file",
      path,
      "--on-invalid",
      "reject-file",
      rejects,
    );
    assert.equal(refused.code, 2);
    assert.match(said(refused), words);
  }
  assert.equal(readFileSync(other, "utf8"), HEADER + goods(1, 2));
  assert.deepEqual(keys(), []);
});

test("what Kafka refuses is left out of its batch, and the rest of the file follows", async () => {
  const { servers, produce, keys } = start();
  servers.kafka.refusing(({ key }) =>
    /^p-(7|8|6000)$/.test(String(key)) ? { code: "POLICY_VIOLATION", words: null } : null,
  );
  const { code, out, err } = await produce("products", "--file", file("r.csv", goods(1, 7_000)));
  assert.equal(code, 1);
  assert.deepEqual(out, ["6,997 records sent to products"]);
  assert.match(err.join("\n"), /3 refused.*line 8: .*line 9: .*line 6001: /);
  assert.deepEqual(
    numbers(keys()),
    upTo(7_000).filter((n) => ![7, 8, 6_000].includes(n)),
  );
});

test("an empty file is an error, a header alone is no record", async () => {
  const { produce } = start();
  for (const name of ["empty.csv", "empty.ndjson"]) {
    const path = join(folder, name);
    writeFileSync(path, "");
    for (const how of [[], ["--check"]]) {
      const empty = await produce("products", "--file", path, ...how);
      assert.equal(empty.code, 1);
      assert.match(said(empty), /MILL_DATA_INVALID .* is empty: expected a/);
    }
  }
  const { code, out } = await produce("products", "--file", file("header.csv", ""));
  assert.deepEqual([code, out], [0, ["0 records sent to products"]]);
});

test("mistakes in the options of a file say what was expected", async () => {
  const { produce } = start();
  const path = file("options.csv", goods(1, 1));
  const cases: [string[], RegExp][] = [
    [["products", "--file", path, "--on-invalid", "ignore"], /expected stop, skip or reject-file/],
    [["products", "--file", path, "--on-invalid", "reject-file"], /received no path/],
    [["products", "--file", path, "--from-line", "0"], /--from-line: expected a whole number/],
    [["--file", path], /the name of a topic is missing/],
    [["products", "--file", path, "--on-invalid", "skip", "other"], /too many arguments: /],
    [["products", "--generate", "products", "--check"], /are for --file/],
  ];
  for (const [argv, words] of cases) {
    const refused = await produce(...argv);
    assert.match(said(refused), words);
    assert.equal(refused.code, 2, said(refused));
  }
});
