// The other doubles: tables beyond their suite, registry, log and meter.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { SinkCommit, SinkRow } from "../../../src/engine/core/ports.ts";
import type { Schema } from "../../../src/engine/core/schema.ts";
import { postgresTable } from "../../../src/engine/define/table.ts";
import { settle } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { MemoryTables } from "../../../src/engine/testing/memory-tables.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { catalogue } from "../../../src/engine/observe/catalogue.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";
import { WorkerSwitch } from "../../../src/engine/testing/doubles/worker-switch.ts";
import { throwsCode } from "../../contract/kafka-port/world.ts";

interface Customer {
  readonly customerId: string;
  readonly name: string;
  readonly note: string | null;
}

const fields = [
  { name: "customerId", type: "string" },
  { name: "name", type: "string" },
  { name: "note", type: ["null", "string"] },
];
const customer: Schema<Customer> = {
  format: {
    kind: "avro",
    name: "Customer",
    schema: { type: "record", name: "Customer", fields },
  },
  reads: {},
  writes: {},
};
const unknown: Customer = { customerId: "unknown", name: "Unknown", note: null };
const customers = postgresTable("customers", {
  row: customer,
  key: ["customerId"],
  columns: { note: { omit: true } },
  rows: () => [unknown],
});

const task = { pipeline: "p", part: "customers", topic: "t", partition: 0 };
const aRow = (index: number, values: readonly unknown[], timestamp = 1_000): SinkRow => ({
  values,
  index,
  offset: BigInt(index),
  timestamp,
});
const aCommit = (rows: readonly SinkRow[], expectedOffset = 0n): SinkCommit => ({
  task,
  epoch: 1n,
  expectedOffset,
  nextOffset: expectedOffset + BigInt(rows.length),
  rows,
  letters: [],
  refused: ({ index }, { code }) => ({
    id: `${String(index)}-${code}`,
    topic: "dead",
    partition: 0,
    key: null,
    value: null,
    headers: [],
    timestamp: 0,
  }),
  ledger: emptyLedger,
});

async function started(worker?: WorkerSwitch) {
  const tables = new MemoryTables();
  const store = tables.store(customers, worker);
  await store.takeOver(task, () => Promise.resolve(0n));
  return { tables, store };
}

describe("tables in memory", () => {
  test("hold the rows that are always there, as objects of the fields that have columns", async () => {
    const { tables, store } = await started();
    assert.deepEqual(tables.rows(customers), [{ customerId: "unknown", name: "Unknown" }]);
    await store.commit(aCommit([aRow(0, ["c-1", "Ada"]), aRow(1, ["unknown", "Nobody"])]));
    assert.deepEqual(tables.rows(customers), [
      { customerId: "c-1", name: "Ada" },
      { customerId: "unknown", name: "Nobody" },
    ]);
  });

  test("take the record's time as version where none is declared", async () => {
    const { tables, store } = await started();
    await store.commit(aCommit([aRow(0, ["c-1", "new"], 2_000), aRow(1, ["c-1", "old"], 1_000)]));
    assert.equal(tables.rows(customers)[0]?.["name"], "new");
  });

  test("refuse what a column cannot hold", async () => {
    const { store } = await started();
    const rows = [aRow(0, ["c-1", null]), aRow(1, ["c-2", "a\0b"]), aRow(2, ["c-3", "ok"])];
    const { refused, written } = await store.commit(aCommit(rows));
    assert.deepEqual([[...refused], [...written]], [[0, 1], [2]]);
    const owed = await store.pendingLetters(task, 10);
    assert.deepEqual(
      owed.map(({ id }) => id),
      ["0-23502", "1-22021"],
    );
  });

  test("find out that a commit was dropped when its reply was lost", async () => {
    const { tables, store } = await started();
    tables.loseNextCommitReply("dropped");
    const commit = aCommit([aRow(0, ["c-1", "Ada"])]);
    await assert.rejects(store.commit(commit), throwsCode("MILL_POSTGRES_UNAVAILABLE"));
    assert.equal(tables.rows(customers).length, 1);
    assert.equal((await store.progress(task))?.nextOffset, 0n);
    await store.commit(commit);
    assert.equal(tables.rows(customers).length, 2);
  });

  test("hear nothing more of a crashed worker", async () => {
    const worker = new WorkerSwitch();
    const { tables, store } = await started(worker);
    worker.crash();
    let isOver = false;
    void store.commit(aCommit([aRow(0, ["c-1", "Ada"])])).finally(() => (isOver = true));
    await settle();
    assert.deepEqual([isOver, tables.rows(customers).length], [false, 1]);
  });
});

describe("registry in memory", () => {
  const record = (...names: string[]): string =>
    JSON.stringify({
      type: "record",
      name: "R",
      fields: names.map((name) => ({ name, type: "string" })),
    });

  test("gives one id to one schema, whatever its subject and white space", async () => {
    const registry = new MemoryRegistry();
    const text = record("a");
    const spaced = JSON.stringify(JSON.parse(text), null, 2);
    assert.equal(await registry.register("one", text), 1);
    assert.equal(await registry.register("one", spaced), 1);
    assert.equal(await registry.register("two", spaced), 1);
    assert.equal(await registry.schemaById(1), text);
    assert.deepEqual(await registry.latest("two"), { id: 1, version: 1, schema: spaced });
    assert.equal(await registry.idOf("one", spaced), 1);
    assert.equal(await registry.idOf("three", text), null);
    assert.deepEqual([await registry.schemaById(2), await registry.latest("three")], [null, null]);
  });

  test("refuses a schema that cannot read the last one, naming the field", async () => {
    const registry = new MemoryRegistry();
    await registry.register("s", record("a"));
    await assert.rejects(registry.register("s", record("a", "b")), (error: unknown) => {
      throwsCode("MILL_SCHEMA_INCOMPATIBLE")(error);
      return /\bb\b.*no default/.test((error as Error).message);
    });
    assert.equal(await registry.register("s", '{"type":"record","name":"R","fields":[]}'), 2);
    assert.equal(registry.force("s", record("b")), 3);
    assert.equal((await registry.latest("s"))?.version, 3);
  });

  test("asks for a retry while it is away", async () => {
    const registry = new MemoryRegistry();
    registry.setAvailable(false);
    const away = throwsCode("MILL_REGISTRY_UNAVAILABLE");
    await assert.rejects(registry.schemaById(1), away);
    await assert.rejects(registry.register("s", record("a")), away);
    registry.setAvailable(true);
    assert.equal(await registry.register("s", record("a")), 1);
  });
});

describe("recordings", () => {
  test("a log keeps its lines in order", () => {
    const log = new RecordingLog();
    log.warn({ partition: 1 }, "first");
    log.error({}, "second");
    log.warn({}, "third");
    assert.deepEqual(log.messages("warn"), ["first", "third"]);
    assert.deepEqual(log.lines[0], { level: "warn", facts: { partition: 1 }, message: "first" });
  });

  test("a meter adds up counters over all labels that were not asked for", () => {
    const meter = new RecordingMeter();
    meter.count("n", { part: "a", partition: "0" });
    meter.count("n", { partition: "0", part: "a" }, 4);
    meter.count("n", { part: "b", partition: "0" }, 10);
    assert.equal(meter.counter("n"), 15);
    assert.equal(meter.counter("n", { part: "a" }), 5);
    assert.equal(meter.counter("n", { part: "c" }), 0);
  });

  test("a meter with a catalogue refuses what is not in it", () => {
    const meter = new RecordingMeter(catalogue);
    meter.count("millrace_fenced_total", { kind: "stream" });
    const refused = (name: string, labels: Record<string, string>): void =>
      assert.throws(() => meter.count(name, labels), throwsCode("MILL_ENGINE_INVARIANT"));
    refused("millrace_fencd_total", { kind: "stream" });
    refused("millrace_fenced_total", { sort: "stream" });
    refused("millrace_fenced_total", { kind: "other" });
  });

  test("a meter keeps the last value of a gauge until it is forgotten, and every observation", () => {
    const meter = new RecordingMeter();
    meter.gauge("g", { task: "1" }, 5);
    meter.gauge("g", { task: "1" }, 6);
    meter.gauge("g", { task: "2" }, 7);
    assert.deepEqual(meter.gauges("g"), [6, 7]);
    meter.forget({ task: "1" });
    assert.deepEqual(meter.gauges("g"), [7]);
    meter.observe("h", {}, 0.1);
    meter.observe("h", {}, 0.2);
    assert.deepEqual(meter.observations("h"), [0.1, 0.2]);
  });
});
