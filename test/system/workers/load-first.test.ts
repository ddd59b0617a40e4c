// A reference topic on real servers: 200 countries are loaded before 10,000 events, also when the worker dies in the midst,
// and a ranged reprocess knows them all.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import { COUNTRIES, sendCountries, sendEvents } from "../../support/countries.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { reprocess } from "../../support/reprocess-run.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `countries-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { countries, events, naming, PARTITIONS, UNKNOWN } =
  await import("../../support/apps/countries.ts");
const app = appOf("countries", { TEST_TOPICS: prefix });
const slow = appOf("countries", { TEST_TOPICS: prefix, TEST_SLOW_MS: "25" });

const EVENTS = 10_000;
const HALF = EVENTS / 2;
const DAY_MS = 86_400_000;
const middleMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(naming.plan(), env);
  await applyApp(app, env);
  const { kafka } = figures.clients;
  const to = { kafka, partitions: PARTITIONS };
  // Half of the events are older than the middle, the countries too, and the events were sent first.
  const timeOf = (i: number): number => middleMs + (i - HALF) * 1_000;
  await sendEvents({ ...to, topic: events.name }, { from: 0, count: EVENTS, timeOf });
  await sendCountries({ ...to, topic: countries.name }, middleMs - DAY_MS);
});
after(async () => {
  await figures.close();
  await database.drop();
});

const figure = async (what: string, table: string): Promise<number> => {
  const [row] = await database.query<{ n: string }>(`SELECT ${what} AS n FROM ${table}`);
  return Number(row?.n ?? 0);
};
const unknown = (table: string): Promise<number> =>
  figure(`count(*) FILTER (WHERE name = '${UNKNOWN}')`, table);

const waits = /events-\d waits: \S*countries-\d is loaded first, \d+ of \d+/;
const waiting = ({ lines }: WorkerProcess): number =>
  lines.filter(({ message }) => waits.test(message)).length;

test("at a first start no event sees an unknown country, though the worker dies in the midst", async (t) => {
  const first = await WorkerProcess.start(t, { args: [], env, app: slow });
  await eventually("it loads", () => Promise.resolve(waiting(first) === PARTITIONS || null));
  // Each partition has about 100 countries, which take 2.5 s: one is done by then, the other is not.
  await delay(3_500);
  first.kill("SIGKILL");
  await first.exit;
  assert.equal(await figure("count(*)", "event_rows"), 0);
  const second = await WorkerProcess.start(t, { args: [], env, app });
  await eventually("all is there", async () => {
    const isDone = (await figure("sum(n)", "per_country")) === EVENTS;
    return isDone && (await figure("count(*)", "event_rows")) === EVENTS ? true : null;
  });
  assert.ok(waiting(second) >= 1, "the first had loaded all");
  assert.equal(await unknown("event_rows"), 0);
  assert.equal(await figure("count(*)", "per_country"), COUNTRIES);
  await second.drain();
});

test("describe says that it is read first", async () => {
  const { out } = await appCommand(app, ["describe", prefix], env);
  assert.match(out, /countries +source read first, at a first start/);
});

test("a reprocess run of the second half knows every country", async () => {
  const from = new Date(middleMs).toISOString();
  const plan = await reprocess(app, env, "plan", prefix, "--from", from);
  assert.match(plan.out, /countries is read first, and whole/);
  assert.match(plan.out, new RegExp(`${(HALF + COUNTRIES).toLocaleString("en")} records`));
  const { code, out } = await reprocess(app, env, "run", prefix, "--from", from);
  assert.equal(code, 0, out);
  assert.equal(await figure("count(*)", "event_rows_r1"), HALF);
  assert.equal(await unknown("event_rows_r1"), 0);
  assert.equal(await figure("sum(n)", "per_country_r1"), HALF);
});

test("a run of all is equal, and promoted: events after it know every country", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  const { code, out } = await reprocess(app, env, "run", prefix);
  assert.equal(code, 0, out);
  const verified = await reprocess(app, env, "verify", prefix);
  assert.equal(verified.code, 0, verified.out);
  const promoted = await reprocess(app, env, "promote", prefix, "--yes");
  assert.equal(promoted.code, 0, promoted.out);
  const { kafka } = figures.clients;
  const to = { kafka, partitions: PARTITIONS, topic: events.name };
  await sendEvents(to, { from: EVENTS, count: 1_000, timeOf: () => Date.now() });
  await eventually("events go on", async () => {
    return (await figure("sum(n)", "per_country")) === EVENTS + 1_000 ? true : null;
  });
  assert.equal(await unknown("event_rows"), 0);
  assert.equal(await figure("count(*)", "per_country"), COUNTRIES);
  await worker.drain();
});
