// `millrace run --until-end` as a process on real servers: events behind a reference topic, a new key and the topics of tables.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type Ended } from "../../support/app.ts";
import { COUNTRIES, sendCountries, sendEvents } from "../../support/countries.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `until-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { countries, events, naming, PARTITIONS, UNKNOWN } =
  await import("../../support/apps/countries.ts");
const app = appOf("countries", { TEST_TOPICS: prefix });

const slow = appOf("countries", { TEST_TOPICS: prefix, TEST_SLOW_MS: "25" });

const EVENTS = 5_000;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(naming.plan(), env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

async function send(from: number): Promise<void> {
  const { kafka } = figures.clients;
  const to = { kafka, partitions: PARTITIONS, topic: events.name };
  await sendEvents(to, { from, count: EVENTS, timeOf: () => Date.now() });
}

const figure = async (what: string, table: string): Promise<number> => {
  const [row] = await database.query<{ n: string }>(`SELECT ${what} AS n FROM ${table}`);
  return Number(row?.n ?? 0);
};
const run = (...options: string[]): Promise<Ended> =>
  appCommand(app, ["run", prefix, "--until-end", ...options], {
    ...env,
    MILLRACE_LOG_LEVEL: "info",
  });

test("reads to the end, has every row in Postgres, and exits 0", async () => {
  const { kafka } = figures.clients;
  const to = { kafka, partitions: PARTITIONS, topic: countries.name };
  await sendCountries(to, Date.now());
  await send(0);
  const { code, out } = await run();
  assert.equal(code, 0, out);
  assert.match(out, /read to the ends as they were at the start/);
  assert.equal(await figure("count(*)", "event_rows"), EVENTS);
  assert.equal(await figure("sum(n)", "per_country"), EVENTS);
  assert.equal(await figure("count(*)", "per_country"), COUNTRIES);
  assert.equal(await figure(`count(*) FILTER (WHERE name = '${UNKNOWN}')`, "event_rows"), 0);
});

test("with two workers each ends by itself, none is started again, and what came since is there", async () => {
  await send(EVENTS);
  const { code, out } = await run("--workers", "2");
  assert.equal(code, 0, out);
  assert.equal(out.split("read to the ends as they were at the start").length - 1, 2, out);
  assert.doesNotMatch(out, /a worker process has died/);
  assert.equal(await figure("count(*)", "event_rows"), 2 * EVENTS);
  assert.equal(await figure("sum(n)", "per_country"), 2 * EVENTS);
});

test("a worker that is killed is started again, and all is there in the end", async (t) => {
  const { kafka } = figures.clients;
  const to = { kafka, partitions: PARTITIONS, topic: countries.name };
  await sendCountries(to, Date.now());
  await send(2 * EVENTS);
  const args = [prefix, "--until-end", "--workers", "2"];
  const worker = await WorkerProcess.start(t, { args, env, app: slow });
  await eventually("both are at work", async () =>
    (await worker.health())?.tasks.some(({ state }) => state === "running") === true ? true : null,
  );
  const [child] = worker.children;
  assert.ok(child !== undefined);
  process.kill(child, "SIGKILL");
  assert.deepEqual(await worker.exit, { code: 0, signal: null }, worker.story());
  assert.ok(worker.lines.some(({ message }) => message === "a worker process has died"));
  assert.equal(await figure("count(*)", "event_rows"), 3 * EVENTS);
  assert.equal(await figure("sum(n)", "per_country"), 3 * EVENTS);
});

test("with nothing new it ends at once", async () => {
  const { code, out } = await run();
  assert.equal(code, 0, out);
});

test("a pipeline that an operator has shut ends it with 5 and the command that lets it go on", async () => {
  const drained = await appCommand(app, ["drain", prefix, "--wait", "30"], env);
  assert.equal(drained.code, 0, drained.out);
  for (const options of [[], ["--workers", "2"]]) {
    const { code, out } = await run(...options);
    assert.equal(code, 5, out);
    assert.match(out, new RegExp(`${prefix} is draining since .*npx millrace resume ${prefix}`));
  }
  assert.equal((await appCommand(app, ["resume", prefix], env)).code, 0);
  assert.equal((await run()).code, 0);
});
