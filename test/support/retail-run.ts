// The retail pipeline on servers of a test file's own: a namespace, a database and an empty retail.clean for each run,
// what it has decided so far, and what came of it, read from Kafka and Postgres and not from the worker.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import avsc from "avsc";
import { kafkajsPort } from "../../src/engine/clients/kafkajs/port.ts";
import type { AdminPort, KafkaPort } from "../../src/engine/core/kafka.ts";
import { ledgerTotals, sumLedgers, type LedgerCounts } from "../../src/engine/core/ledger.ts";
import { decodeMetadata } from "../../src/engine/core/task-inputs.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import { headerText, type RawRecord } from "../../src/engine/core/record.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { retail } from "../../src/pipelines/retail.ts";
import type { Stack } from "../../src/stack/stack.ts";
import { eventually } from "./eventually.ts";
import { freshDatabase, type FreshDatabase } from "./fresh-database.ts";
import { slice, type Expected } from "./retail-figures.ts";
import { bin, WorkerProcess } from "./worker-process.ts";

const SOURCE = "retail.transactions";
const CLEAN = "retail.clean";

const execute = promisify(execFile);

export interface RunOptions {
  readonly stack: Stack;
  /** Ends in "-". */
  readonly namespace: string;
  /** Goes on with the records that an earlier run has read; default: an empty source. */
  readonly keepsSource?: boolean;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly perSecond: number;
}

/** Records decided by each part, of those that its topic holds. */
export interface Decided {
  readonly main: number;
  readonly mainEnd: number;
  readonly rows: number;
  readonly isDrained: boolean;
}

export class RetailRun {
  readonly database: FreshDatabase;
  readonly #test: TestContext;
  readonly #kafka: KafkaPort;
  readonly #admin: AdminPort;
  readonly #plan: Plan;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(test: TestContext, database: FreshDatabase, options: RunOptions) {
    const { stack, namespace } = options;
    this.database = database;
    this.#test = test;
    this.#plan = retail.plan(namespace);
    this.#env = { ...stack.env, DATABASE_URL: database.url, MILLRACE_NAMESPACE: namespace };
    this.#kafka = kafkajsPort({
      brokers: stack.kafka.brokers,
      clientId: "figures",
      security: { protocol: "PLAINTEXT" },
      log: new RecordingLog(),
    });
    this.#admin = this.#kafka.admin();
  }

  static async prepare(test: TestContext, options: RunOptions): Promise<RetailRun> {
    const database = await freshDatabase(options.stack.postgres.url);
    const run = new RetailRun(test, database, options);
    test.after(async () => {
      await run.#kafka.close();
      await database.drop();
    });
    const found = await run.#admin.listTopics();
    const old = options.keepsSource === true ? [CLEAN] : [CLEAN, SOURCE];
    await run.#admin.deleteTopics(old.filter((topic) => found.includes(topic)));
    await Promise.all([run.command("topics", "apply"), run.command("tables", "apply")]);
    return run;
  }

  /** One command of ours; throws unless it exits with 0. */
  async command(...args: readonly string[]): Promise<string> {
    const options = { cwd: tmpdir(), env: { ...process.env, ...this.#env } };
    return (await execute(process.execPath, [bin, ...args], options)).stdout;
  }

  produce(origin: readonly string[], ...more: readonly string[]): Promise<string> {
    return this.command("produce", SOURCE, ...origin, ...more);
  }

  /** Sends lines `from` to `to`, so many a second. */
  async send(expected: Expected, range: Range): Promise<void> {
    const file = slice(expected, range.from, range.to);
    try {
      await this.produce(["--file", file], "--rate", String(range.perSecond));
    } finally {
      rmSync(dirname(file), { recursive: true });
    }
  }

  /** A worker of this run; it takes what is left by one that died as soon as `sessionMs` have passed. */
  worker(
    more: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<WorkerProcess> {
    const settings = { ...this.#env, MILLRACE_SESSION_TIMEOUT_MS: "2000", ...env };
    return WorkerProcess.start(this.#test, { args: ["retail", ...more], env: settings });
  }

  async decided(): Promise<Decided> {
    const [main, table, rows] = await Promise.all([
      this.#mainProgress(),
      this.#tableProgress(),
      this.database.query<{ n: string }>("SELECT count(*) AS n FROM retail_lines"),
    ]);
    const isDrained = main.left === 0 && table.left === 0;
    return { main: main.done, mainEnd: main.end, rows: Number(rows[0]?.n), isDrained };
  }

  /** Until every part has decided the end of its topic; to be called when everything was sent. */
  async drained(expected: Expected, limitMs?: number): Promise<void> {
    const isDrained = async (): Promise<true | null> => {
      const decided = await this.decided();
      return (decided.mainEnd >= expected.records && decided.isDrained) || null;
    };
    await eventually("every part decides the end of its topic", isDrained, limitMs);
  }

  async #mainProgress(): Promise<{ done: number; end: number; left: number }> {
    const marks = await this.#admin.watermarks(SOURCE);
    const group = this.#plan.parts[0]?.group ?? "";
    const committed = await this.#admin.committed(group, marks, { stable: false });
    const end = sum(marks.map(({ high, low }) => Number(high - low)));
    // An imported file leaves control records among its records: there may be more offsets than records.
    const done = sum(
      committed.map(({ partition, nextOffset }) => {
        const low = marks.find((mark) => mark.partition === partition)?.low ?? 0n;
        return Number((nextOffset ?? low) - low);
      }),
    );
    return { done, end, left: end - done };
  }

  async #tableProgress(): Promise<{ left: number }> {
    const marks = await this.#admin.watermarks(CLEAN);
    const stored = await this.database.query<{ partition: number; next_offset: string }>(
      "SELECT partition, next_offset FROM millrace.progress WHERE topic = $1",
      [CLEAN],
    );
    const nextOf = (partition: number): bigint =>
      BigInt(stored.find((row) => Number(row.partition) === partition)?.next_offset ?? -1);
    return { left: sum(marks.map(({ partition, high }) => Number(high - nextOf(partition)))) };
  }

  /** Every figure of the run: the cleaned topic, the table, the dead letters and the ledgers. */
  async check(expected: Expected): Promise<void> {
    const [clean, letters] = await Promise.all([
      this.#committed(CLEAN),
      this.#committed(this.#plan.deadLetters),
    ]);
    assertLines(clean, expected);
    assertLetters(letters, expected);
    await this.#checkTable(expected);
    await this.#checkLedgers(expected);
  }

  async #checkTable(expected: Expected): Promise<void> {
    const [table] = await this.database.query(
      `SELECT count(*)::int AS rows, sum(sales_value)::text AS sales,
              md5(string_agg(concat_ws('|', basket_id, product_id, household_id, store_id, quantity,
                  sales_value, retail_disc, coupon_disc, coupon_match_disc, week,
                  extract(epoch FROM transaction_timestamp)::bigint),
                E'\\n' ORDER BY basket_id, product_id::bigint)) AS checksum
         FROM retail_lines`,
    );
    const { rows, sales, checksum } = expected;
    assert.deepEqual(table, { rows, sales, checksum });
  }

  async #checkLedgers(expected: Expected): Promise<void> {
    const { records, rows, refused } = expected;
    const group = this.#plan.parts[0]?.group ?? "";
    const partitions = await this.#admin.watermarks(SOURCE);
    const committed = await this.#admin.committed(group, partitions, { stable: true });
    const main = committed.flatMap(({ metadata }) => decodeMetadata(metadata)?.ledger ?? []);
    const letters = refused.length;
    const wanted = { consumed: records, emitted: rows, "dead-lettered": letters };
    assert.deepEqual(ledgerTotals(sumLedgers(main)), wanted, "ledger of main");
    const stored = await this.database.query<{ ledger: LedgerCounts }>(
      "SELECT ledger FROM millrace.progress",
    );
    const table = sumLedgers(stored.map(({ ledger }) => ledger));
    assert.deepEqual(ledgerTotals(table), { consumed: rows, emitted: rows }, "ledger of the table");
  }

  /** What a committed reader finds, partition after partition, each in order of offset. */
  async #committed(topic: string): Promise<RawRecord[]> {
    const marks = await this.#admin.watermarks(topic);
    const read = marks.map(async ({ partition, low, high }) => {
      const options = { topic, partition, fromOffset: low, maxWaitMs: 100 };
      const reader = this.#kafka.reader(options);
      const records: RawRecord[] = [];
      let next = low;
      await eventually(`${topic}-${String(partition)} is read to its end`, async () => {
        while (next < high) {
          const more = await reader.read();
          records.push(...more.records);
          if (more.nextOffset === next) return null;
          next = more.nextOffset;
        }
        return true;
      });
      await reader.close();
      return records;
    });
    return (await Promise.all(read)).flat();
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const schema = new URL("../../schemas/retail-line.v1.avsc", import.meta.url);
const lineType = avsc.Type.forSchema(JSON.parse(readFileSync(schema, "utf8")) as avsc.Schema);
const WIRE_HEADER_BYTES = 5;

/** The name that the naive program gives the line. */
function nameOf({ value }: RawRecord): string {
  assert.ok(value !== null, "a record without a value");
  const line = lineType.fromBuffer(value.subarray(WIRE_HEADER_BYTES)) as {
    readonly basketId: number;
    readonly productId: string;
  };
  return `${String(line.basketId)}/${line.productId}`;
}

/** Each household's lines, every one once, in the order of the source. */
function assertLines(records: readonly RawRecord[], { rows, lines }: Expected): void {
  const found = Map.groupBy(records, ({ key }) => String(key));
  for (const [household, wanted] of lines) {
    const names = (found.get(household) ?? []).map(nameOf);
    const at = wanted.findIndex((name, index) => names[index] !== name);
    const where = `household ${household}, line ${String(at)}`;
    assert.equal(at, -1, `${where}: ${String(names[at])} instead of ${String(wanted[at])}`);
    assert.equal(names.length, wanted.length, `lines of household ${household}`);
  }
  assert.equal(records.length, rows, "committed records of the cleaned topic");
}

/** One letter for each refused line, all of them of the rule. */
function assertLetters(records: readonly RawRecord[], { refused }: Expected): void {
  assert.equal(records.length, refused.length, "dead letters");
  assert.deepEqual(records.map(nameOf).sort(), refused, "lines in dead letters");
  const rules = new Set(records.map(({ headers }) => headerText(headers, "dlq.rule")));
  assert.deepEqual([...rules], refused.length === 0 ? [] : ["quantity-positive"]);
  const ids = new Set(records.map(({ headers }) => headerText(headers, "dlq.id")));
  assert.equal(ids.size, refused.length, "ids of dead letters");
}
