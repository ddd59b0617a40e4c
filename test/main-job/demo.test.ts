// The main job on real servers, as a newcomer runs it: its own stack in a folder of its own, from nothing; and nothing personal
// may be said anywhere. In test/long it is run a second time on the same servers, where its result must not change.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { NEXT } from "../../src/cli/demo.ts";
import { generators } from "../../src/demo/generators.ts";
import { customerOrders } from "../../src/pipelines/customer-orders.ts";
import { readStackEnv } from "../../src/stack/stack-file.ts";
import { stopStack } from "../../src/stack/stack.ts";
import { customers, type Customer } from "../../topics/customers.ts";
import { AppFigures } from "../support/app-figures.ts";
import { Lines, saidIn } from "../support/canaries.ts";
import { keep } from "../support/stack.ts";
import { isWhole } from "../support/whole.ts";
import { freePort } from "../support/worker-process.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "millrace-demo-"));
const stackDir = join(dir, ".millrace");
keep(stackDir);
after(async () => {
  await stopStack(stackDir, () => undefined, { purge: true });
  rmSync(dir, { recursive: true, force: true });
});

const httpPort = await freePort();
/** Without addresses of other servers, so that the demo starts its own. */
const env = {
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"],
  MILLRACE_CACHE: process.env["MILLRACE_CACHE"] ?? join(root, ".millrace", "cache"),
  MILLRACE_LOG_LEVEL: "debug",
  MILLRACE_HTTP_PORT: String(httpPort),
};

/** What was said, by whatever way. */
const said = { output: new Lines(), operations: new Lines() };

const millrace = (...argv: readonly string[]): Promise<{ code: unknown; out: string }> =>
  new Promise((resolve) => {
    const options = { cwd: dir, env, timeout: 580_000, maxBuffer: 500_000_000 };
    const args = [join(root, "bin/millrace.js"), ...argv];
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const out = stdout + stderr;
      said.output.add(out);
      resolve({ code: error === null ? 0 : error.code, out });
    });
  });

/** Reads what the worker serves for as long as the demo runs. */
async function watched<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  const done = work.finally(() => (isOver = true));
  while (!isOver) {
    for (const path of ["live", "ready", "metrics"])
      await fetch(`http://127.0.0.1:${String(httpPort)}/${path}`)
        .then(async (answer) => said.operations.add(await answer.text()))
        // The worker is not there at all times.
        .catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return done;
}

const checksumOf = (out: string): string =>
  /checksum of business columns +([0-9a-f]{32})\n/.exec(out)?.[1] ?? assert.fail(out);

/** Personal values and keys, from the generators that the demo uses. */
function personal(): { ofCustomers: string[]; keys: string[] } {
  const none = { seed: 1, updates: 0, repeats: 0 };
  const all = [
    ...(generators["customers"]?.records({ ...none, count: 1_000, poison: 0 }) ?? []),
    ...(generators["orders"]?.records({ ...none, count: 10_000, poison: 10 }) ?? []),
  ];
  const ofCustomers = all
    .filter(({ topic }) => topic === customers.name)
    .map(({ value }) => value as Customer)
    .flatMap((customer) =>
      customers.personalData.map((field) => String(customer[field as "name"])),
    );
  return { ofCustomers, keys: all.map(({ key }) => key) };
}

/** Customers that fail on their way: at the decoder, and in the database. */
const NAME = "Zenobia Quill";
const broken = [
  { customerId: "c-truncated", name: NAME, email: "zenobia@quill.example", createdDate: null },
  {
    customerId: "c-refused",
    name: `${NAME}\u0000`,
    email: "refused@quill.example",
    createdDate: null,
  },
];

async function sendBroken(figures: AppFigures): Promise<void> {
  const producer = figures.clients.kafka.producer();
  const encoded = await figures.encoder(customers.name);
  await producer.send(
    broken.map((customer) => {
      const bytes = encoded(customer);
      const value = customer.customerId === "c-truncated" ? bytes.subarray(0, -3) : bytes;
      const key = Buffer.from(customer.customerId);
      const at = { topic: customers.name, partition: 0, headers: [], timestamp: Date.now() };
      return { ...at, key, value };
    }),
  );
  await producer.close();
}

test("the demo leaves its figures, and says nothing personal", async (t) => {
  let checksum = "";
  await t.test(
    "the first run ends with a ledger that balances, 9,800 rows, 800 unknown customers and 250 letters",
    async () => {
      const { code, out } = await watched(millrace("demo", "--keep"));
      assert.equal(code, 0, out);
      assert.match(out, /main +10050 consumed = 250 dead-lettered \+ 9800 emitted +balances/);
      assert.match(out, /fact_orders +9800 consumed = 9800 emitted +balances/);
      assert.match(out, /rows +9800\n/);
      assert.match(out, /of the unknown customer +800\n/);
      assert.match(out, /rule +200\n/);
      assert.match(out, /decode +50\n/);
      assert.doesNotMatch(out, /: stopped/);
      assert.ok(out.includes(NEXT.up), "the servers stay up");
      checksum = checksumOf(out);
    },
  );

  const figures = new AppFigures(customerOrders.plan(), readStackEnv(stackDir, {}));
  t.after(() => figures.close());

  const secondRun = async (): Promise<void> => {
    await sendBroken(figures);
    const { code, out } = await watched(millrace("demo", "--keep"));
    assert.equal(code, 0, out);
    assert.match(
      out,
      /main +20100 consumed = 500 dead-lettered \+ 9800 emitted \+ 9800 deduplicated +balances/,
    );
    assert.match(out, /fact_orders +9800 consumed = 9800 emitted +balances/);
    assert.match(out, /dim_customers +2002 consumed = 2 dead-lettered \+ .*balances/);
    assert.match(out, /rows +9800\n/);
    assert.equal(checksumOf(out), checksum);
  };
  if (isWhole)
    await t.test("the second run leaves the same checksum of business columns", secondRun);

  await t.test("no personal value and no key is in any output, log, metric or error", async () => {
    const { ofCustomers, keys } = personal();
    const values = [...ofCustomers, NAME, ...broken.map(({ email }) => email)];
    const all = [...values, ...keys, ...broken.map(({ customerId }) => customerId)];
    assert.ok(new Set(ofCustomers).size > 1_000);
    assert.ok(new Set(keys).size > 11_000);
    const { rows } = await figures.clients.pool.query<{ name: string; email: string }>(
      "SELECT name, email FROM public.dim_customers WHERE customer_id LIKE 'c-%'",
    );
    assert.equal(rows.length, 1_000);
    const stored = rows.flatMap(({ name, email }) => [name, email]);
    assert.deepEqual(saidIn(stored.join("\n"), ofCustomers).length, new Set(ofCustomers).size);

    const letters = await figures.raw(figures.plan.deadLetters);
    assert.equal(letters.length, isWhole ? 502 : 250);
    const errors = letters.flatMap(({ headers }) => headers.map(([, value]) => String(value)));
    const logs = readdirSync(join(stackDir, "logs")).map((name) =>
      readFileSync(join(stackDir, "logs", name), "utf8"),
    );
    assert.match(said.output.text, /"level":"debug"/);
    assert.match(said.operations.text, /millrace_consumed_records_total\{/);
    assert.deepEqual(saidIn(said.output.text, all), [], "output");
    assert.deepEqual(saidIn(said.operations.text, all), [], "/live, /ready, /metrics");
    assert.deepEqual(saidIn(errors.join("\n"), all), [], "headers of dead letters");
    assert.deepEqual(saidIn(logs.join("\n"), all), [], "logs of the servers");
  });

  await t.test("what it says to try next works as it is printed", async () => {
    const lines = NEXT.up.split("\n").filter((line) => line.includes("npx millrace"));
    assert.ok(lines.length >= 6);
    for (const line of lines) {
      const [, command = ""] = /npx millrace (.*?)(?: {2}|$)/.exec(line) ?? [];
      // The next test does it.
      if (command === "down") continue;
      const { code, out } = await millrace(...command.split(" "));
      assert.equal(code, 0, `${command}: ${out}`);
      assert.notEqual(out.trim(), "", command);
    }
  });

  await t.test("`down --purge` stops the servers and takes their data away", async () => {
    await figures.close();
    const { code, out } = await millrace("down", "--purge");
    assert.equal(code, 0, out);
    for (const server of ["kafka", "postgres", "registry", "redis"])
      assert.match(out, new RegExp(`${server}: stopped`));
    assert.deepEqual(
      readdirSync(stackDir).filter((name) => name !== "cache"),
      [],
    );
  });
});
