import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { consumeVerb } from "../../src/cli/consume.ts";
import { produceVerb } from "../../src/cli/produce.ts";
import { DEFAULT_PLAN_SETTINGS, type PlanSettings } from "../../src/engine/core/plan-settings.ts";
import { plansOf } from "../../src/engine/define/plans.ts";
import { pipelines } from "../../src/pipelines/index.ts";
import { command, MemoryServers, type CommandResult } from "../support/command.ts";

const plans = (settings: PlanSettings) => plansOf(pipelines, settings);
const folder = mkdtempSync(join(tmpdir(), "millrace-produce-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const start = () => {
  const servers = new MemoryServers(plans(DEFAULT_PLAN_SETTINGS));
  return {
    servers,
    produce: (...argv: string[]): Promise<CommandResult> =>
      command(produceVerb(servers.connect, plans), ["produce", ...argv]),
    consume: (...argv: string[]): Promise<CommandResult> =>
      command(consumeVerb(servers.connect, plans), ["consume", ...argv]),
  };
};
interface Shown {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>> | null;
  readonly error?: { readonly code: string };
}
const shown = ({ out }: CommandResult): Shown[] => out.map((line) => JSON.parse(line) as Shown);

test("generated orders come back decoded, poison as errors", async () => {
  const { servers, produce, consume } = start();
  const sent = await produce(
    "customer_orders",
    "--generate",
    "orders",
    "--count",
    "500",
    "--poison",
    "2",
    "--json",
  );
  assert.equal(sent.code, 0, sent.err.join("\n"));
  assert.equal((JSON.parse(sent.out[0] ?? "") as { records: number }).records, 510);
  const all = shown(await consume("customer_orders", "--json"));
  assert.equal(all.length, 510);
  assert.equal(all.filter(({ error }) => error !== undefined).length, 10);
  assert.equal(all.filter(({ value }) => value?.["customerId"] === null).length, 40);
  assert.equal(
    all.filter(({ value }) => String(value?.["totalAmount"]).startsWith("-")).length,
    10,
  );
  assert.equal(servers.closed, 2);
});

test("the same seed sends the same bytes", async () => {
  const [one, two] = [start(), start()];
  for (const { produce } of [one, two])
    await produce(
      "customer_orders",
      "--generate",
      "orders",
      "--count",
      "200",
      "--seed",
      "5",
      "--poison",
      "3",
    );
  const bytes = ({ servers }: typeof one): string[] =>
    servers.kafka
      .records("customer_orders", { committed: true })
      .map(
        ({ partition, key, value }) =>
          `${String(partition)} ${String(key)} ${value?.toString("hex") ?? ""}`,
      );
  assert.equal(bytes(one).length, 215);
  assert.deepEqual(bytes(one), bytes(two));
});

test("the rows of a file are sent by their key", async () => {
  const { produce, consume } = start();
  const path = file("products.csv", "product_id,name,category\np-1,kettle,home\np-2,lamp,home\n");
  const sent = await produce("products", "--file", path);
  assert.deepEqual(sent.out, ["2 records sent to products"]);
  const all = shown(await consume("products", "--json"));
  assert.deepEqual(all.map(({ key, value }) => [key, value]).sort(), [
    ["p-1", { productId: "p-1", name: "kettle", category: "home" }],
    ["p-2", { productId: "p-2", name: "lamp", category: "home" }],
  ]);
  await produce("products", "--file", path, "--key", "category");
  assert.equal(shown(await consume("products", "--json", "--key", "home")).length, 2);
});

test("what consume shows as JSON can be sent again", async () => {
  const { produce, consume } = start();
  await produce("customer_orders", "--generate", "orders", "--count", "50");
  const before = shown(await consume("customer_orders", "--json"));
  const path = file("again.ndjson", before.map(({ value }) => JSON.stringify(value)).join("\n"));
  assert.equal((await produce("customer_orders", "--file", path)).code, 0);
  const values = (all: Shown[]): string[] => all.map(({ value }) => JSON.stringify(value)).sort();
  const after = shown(await consume("customer_orders", "--json"));
  assert.deepEqual(values(after), values([...before, ...before]));
});

test("rows that Kafka refuses are named by their lines, and all others are sent", async () => {
  const { servers, produce, consume } = start();
  servers.kafka.refusing(({ value }) =>
    value?.includes("lamp") === true ? { code: "POLICY_VIOLATION", words: null } : null,
  );
  const path = file(
    "refused.csv",
    "product_id,name,category\np-1,kettle,home\np-2,lamp,home\np-3,chair,home\np-4,lamp,home\n",
  );
  const { code, err, out } = await produce("products", "--file", path);
  assert.equal(code, 1);
  assert.match(out.join("\n"), /2 records sent/);
  assert.match(
    err.join("\n"),
    /MILL_OUTPUT_REFUSED .*2 refused, all others are in products.*line 3: products-\d: POLICY_VIOLATION; line 5: /,
  );
  assert.doesNotMatch(err.join("\n"), /lamp/);
  assert.equal(shown(await consume("products", "--json")).length, 2);
});

test("consume ends at the end that it found, at --max, and begins where it is told", async () => {
  const { produce, consume } = start();
  await produce("customer_orders", "--generate", "orders", "--count", "100");
  const all = shown(await consume("customer_orders", "--json"));
  assert.equal(all.length, 100);
  assert.equal(shown(await consume("customer_orders", "--json", "--max", "7")).length, 7);
  assert.equal(shown(await consume("customer_orders", "--json", "--from", "latest")).length, 0);
  const first = shown(await consume("customer_orders", "--json", "--partition", "0"));
  assert.ok(first.length > 5 && first.every(({ partition }) => partition === 0));
  const later = shown(
    await consume("customer_orders", "--json", "--partition", "0", "--from", "5"),
  );
  assert.deepEqual(later, first.slice(5));
  assert.equal(
    shown(await consume("customer_orders", "--json", "--from", "2001-01-01")).length,
    100,
  );
  assert.equal(shown(await consume("customer_orders", "--json", "--from", "2101-01-01")).length, 0);
});

test("records of an open or aborted transaction are not shown", async () => {
  const { servers, consume } = start();
  const port = servers.kafka.port();
  const producer = port.txProducer({ transactionalId: "t", timeoutMs: 60_000 });
  await producer.init();
  producer.begin();
  const at = { topic: "products", partition: 0, headers: [], timestamp: 1 };
  await producer.send([{ ...at, key: Buffer.from("k"), value: Buffer.from("v") }]);
  await producer.abort();
  assert.deepEqual((await consume("products")).out, []);
  await port.close();
});

test("personal data is masked unless it is asked for", async () => {
  const { produce, consume } = start();
  await produce("customers", "--generate", "customers", "--count", "3");
  const hidden = shown(await consume("customers", "--json"));
  assert.ok(hidden.every(({ value }) => value?.["email"] === "***" && value["name"] === "***"));
  const open = shown(await consume("customers", "--json", "--personal"));
  assert.ok(open.every(({ value }) => String(value?.["email"]).endsWith("@shop.example")));
});

test("lines for people have place, time, key and value", async () => {
  const { produce, consume } = start();
  await produce("products", "--generate", "products", "--count", "1");
  const { out } = await consume("products");
  assert.match(out[0] ?? "", /^\d@0 {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}p-001 {2}\{"productId":"p-001"/);
});

test("a topic that nobody declared is shown as text", async () => {
  const { servers, consume } = start();
  servers.kafka.createTopic({ topic: "other", partitions: 1 });
  const port = servers.kafka.port();
  const at = { topic: "other", partition: 0, headers: [], timestamp: 1 };
  await port.producer().send([
    { ...at, key: Buffer.from("k"), value: Buffer.from("plain") },
    { ...at, key: null, value: Buffer.of(0xff, 0) },
  ]);
  const all = shown(await consume("other", "--json"));
  assert.deepEqual(
    all.map(({ key, value }) => [key, value]),
    [
      ["k", "plain"],
      [null, "/wA="],
    ],
  );
});

test("mistakes of use say what was expected", async () => {
  const { produce, consume } = start();
  const cases: [Promise<CommandResult>, number, RegExp][] = [
    [produce("customer_orders"), 2, /either --file or --generate/],
    [produce("customer_orders", "--generate", "money"), 2, /expected orders\|customers/],
    [produce("products", "--generate", "orders"), 2, /records of customer_orders/],
    [
      produce("customer_orders", "--generate", "orders", "--count", "-1"),
      2,
      /--count: expected a whole number/,
    ],
    [produce("customers", "--generate", "customers", "--poison", "1"), 2, /are for orders/],
    [produce("nothing", "--file", "x.csv"), 3, /declared are customer_orders, orders\.clean/],
    [produce("products", "--file", "/none.csv"), 3, /no file/],
    [consume("nothing"), 78, /MILL_TOPIC_MISSING/],
    [consume("products", "--from", "noon"), 2, /--from: expected earliest/],
    [consume("products", "--partition", "9"), 3, /4 partitions/],
  ];
  for (const [running, code, message] of cases) {
    const result = await running;
    assert.match(result.err.join("\n"), message);
    assert.equal(result.code, code, result.err.join("\n"));
  }
});

test("a schema that was never registered stops produce before anything is sent", async () => {
  const { produce, servers } = start();
  servers.registry.idOf = () => Promise.resolve(null);
  const { code, err } = await produce("products", "--generate", "products");
  assert.equal(code, 78);
  assert.match(err.join("\n"), /MILL_SCHEMA_UNREGISTERED .*products-value/);
});

test("a batch that nobody can read ends its partition alone, and the printed command reads on behind it", async () => {
  const { servers, produce, consume } = start();
  await produce("customer_orders", "--generate", "orders", "--count", "200", "--json");
  const all = shown(await consume("customer_orders", "--json"));
  const partition = all[0]?.partition ?? 0;
  const own = all.filter((one) => one.partition === partition);
  const offset = BigInt(own[2]?.offset ?? 0);
  servers.kafka.spoil({ topic: "customer_orders", partition, offset }, "MILL_BATCH_TOO_LARGE");
  const result = await consume("customer_orders", "--json");
  assert.equal(result.code, 1);
  assert.equal(shown(result).length, all.length - own.length + 2);
  const [, printed = ""] =
    /^MILL_BATCH_TOO_LARGE .*behind it: npx millrace consume (.*)$/.exec(result.err[0] ?? "") ?? [];
  const rest = await consume(...printed.split(" "), "--json");
  assert.equal(rest.code, 0);
  assert.equal(shown(rest).length, own.length - 3);
});
