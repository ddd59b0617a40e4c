// The app "timed" on real servers, with traffic whose times run ahead of the clock, out of order within the grace, some of it late;
// its rows, and those that a second program makes of the same topics.
import assert from "node:assert/strict";
import { partitionOf, type OutRecord } from "../../src/engine/core/record.ts";
import { AppFigures } from "./app-figures.ts";
import { applyApp, type App } from "./app.ts";
import { PARTITIONS, payments, timed, visits, type Payment, type Visit } from "./apps/timed.ts";
import { eventually } from "./eventually.ts";
import { Feeder } from "./feeder.ts";
import { freshDatabase, type FreshDatabase } from "./fresh-database.ts";
import { timedRows, type TimedRows, type TimedTable, type TimeEnd } from "./timed-rows.ts";
import { WorkerProcess, type Owner } from "./worker-process.ts";

/** Visits a second, and milliseconds of event time from one to the next: three times as fast as the clock. */
const PER_SECOND = 200;
const STEP_MS = 15;
/** Visitors of a block are there at the same time, and come again four blocks later. */
const BLOCK = 36;
const VISITORS = 12;
const PAGES = 9;
const LATE_EVERY = 83;
const REACHED_MS = 180_000;

const instant = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;
const columns: Readonly<Record<TimedTable, readonly string[]>> = {
  page_views: ["page", instant("began"), "views"],
  stays: ["visitor", instant("began"), instant("ended"), "views"],
  paid_visits: ["visit", "payment"],
  departures: ["visitor", instant("left_at"), "views"],
  calm_visits: ["visitor", "views"],
};
export const timedTables = Object.keys(columns) as readonly TimedTable[];

const visitorOf = (n: number): string => {
  const block = Math.floor(n / BLOCK) % 4;
  return `v${String(block * VISITORS + (n % VISITORS))}`;
};

export class TimedScene {
  readonly app: App;
  readonly env: Readonly<Record<string, string>>;
  readonly database: FreshDatabase;
  readonly figures: AppFigures;
  readonly feeder: Feeder;
  readonly #startMs = Date.now();

  private constructor(parts: Pick<TimedScene, "app" | "env" | "database" | "figures">) {
    ({ app: this.app, env: this.env, database: this.database, figures: this.figures } = parts);
    this.feeder = new Feeder({
      kafka: this.figures.clients.kafka,
      perSecond: PER_SECOND,
      record: (n) => this.#visit(n),
      beside: (n) => (n % 3 === 0 ? [this.#payment(n)] : []),
    });
  }

  /** Traffic flows from then on. The database is one of its own on the Postgres of `env`. */
  static async open(
    owner: Owner,
    app: App,
    servers: { DATABASE_URL: string },
  ): Promise<TimedScene> {
    const database = await freshDatabase(servers.DATABASE_URL);
    const env = { ...(servers as Record<string, string>), DATABASE_URL: database.url };
    await applyApp(app, env);
    const figures = new AppFigures(timed.plan(), env);
    const scene = new TimedScene({ app, env, database, figures });
    owner.after(async () => {
      await scene.feeder.stop();
      await figures.close();
      await database.drop();
    });
    return scene;
  }

  worker(owner: Owner): Promise<WorkerProcess> {
    return WorkerProcess.start(owner, { args: [], env: this.env, app: this.app });
  }

  /** About when the visit of that number was, in event time. */
  timeOf(n: number): number {
    return this.#startMs + n * STEP_MS;
  }

  /** As they lie in the tables of live, or of a run: "_r1". */
  async rows(of = ""): Promise<TimedRows> {
    const read = async (table: TimedTable): Promise<[string, string[]]> => {
      const text = `SELECT concat_ws('|', ${columns[table].join(", ")}) AS row FROM ${table}${of}`;
      const found = await this.database.query<{ row: string }>(text);
      return [table, found.map(({ row }) => row).sort()];
    };
    return Object.fromEntries(await Promise.all(timedTables.map(read))) as unknown as TimedRows;
  }

  async expected(end: TimeEnd = "keep"): Promise<TimedRows> {
    const [all, paid] = await Promise.all(
      [visits, payments].map(({ name }) => this.figures.raw(name)),
    );
    return timedRows({ visits: all ?? [], payments: paid ?? [] }, end);
  }

  /** Until live has made what there is to make of all that was sent. */
  async reached(): Promise<TimedRows> {
    await this.figures.drained();
    const wanted = await this.expected();
    await eventually(
      "live has made every row",
      async () => (sizeOf(await this.rows()) >= sizeOf(wanted) ? true : null),
      REACHED_MS,
    );
    assertSameRows(await this.rows(), wanted);
    return wanted;
  }

  #visit(n: number): OutRecord {
    const isLate = n % LATE_EVERY === LATE_EVERY - 1;
    const at = this.timeOf(n) - ((n * 7_919) % 400) - (isLate ? 1_500 : 0);
    const value = { id: `n${String(n)}`, page: `p${String((n * 31) % PAGES)}`, at };
    return this.#record(visits.name, visitorOf(n), value);
  }

  /** Of a visit some time ago. */
  #payment(n: number): OutRecord {
    const of = Math.max(0, n - ((n * 37) % 80));
    const at = this.timeOf(n) - ((n * 613) % 450);
    return this.#record(payments.name, visitorOf(of), { id: `p${String(n)}`, at });
  }

  #record(topic: string, visitor: string, value: Visit | Payment): OutRecord {
    const key = Buffer.from(visitor);
    const partition = partitionOf(key, PARTITIONS, 0);
    const own = { topic, partition, key, value: Buffer.from(JSON.stringify(value)) };
    return { ...own, headers: [], timestamp: value.at };
  }
}

export const sizeOf = (rows: TimedRows): number =>
  timedTables.reduce((sum, table) => sum + rows[table].length, 0);

/** Names the first difference: the lists are long. */
export function assertSameRows(found: TimedRows, wanted: TimedRows): void {
  for (const table of timedTables) {
    const [is, shouldBe] = [new Set(found[table]), new Set(wanted[table])];
    const missing = wanted[table].filter((row) => !is.has(row));
    const extra = found[table].filter((row) => !shouldBe.has(row));
    assert.deepEqual([missing.slice(0, 3), extra.slice(0, 3)], [[], []], table);
    assert.equal(found[table].length, wanted[table].length, table);
  }
}
