// A deploy that changes the windows of a pipeline on real servers, through the command line: what describe and the start say, how
// they end, and what is kept.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { appCommand, appOf, type App, type Ended } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { sharedStack } from "../support/stack.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const prefix = `deploy-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { timedTables, TimedScene } = await import("../support/timed-scene.ts");
const deployOf = (settings: Readonly<Record<string, string>> = {}): App =>
  appOf("timed", { TEST_TOPICS: prefix, ...settings });

test("another size or gap is refused, another grace is said, and what has closed stays as it is", async (t) => {
  const scene = await TimedScene.open(t, deployOf(), await sharedStack());
  const { env, feeder } = scene;
  const command = (app: App, ...argv: string[]): Promise<Ended> => appCommand(app, argv, env);
  const first = await scene.worker(t);
  await eventually("windows and sessions have closed", async () => {
    const { page_views, stays } = await scene.rows();
    return (page_views.length > 0 && stays.length > 0) || null;
  });

  const wrong = deployOf({ TEST_SIZE: "4000", TEST_GAP: "300" });
  const described = await command(wrong, "describe", prefix, "--live");
  assert.equal(described.code, 0, described.out);
  assert.match(
    described.out,
    /changed +MILL_STATE_CHANGED .*tumbling 2000 ms is now tumbling 4000/,
  );
  assert.match(described.out, /changed +MILL_STATE_CHANGED .*session 700 ms is now session 300/);
  const refused = await WorkerProcess.start(t, { args: [], env, app: wrong });
  assert.deepEqual(await refused.exit, { code: 78, signal: null }, refused.story());
  const said = refused.story();
  for (const change of [/tumbling 2000 ms is now tumbling 4000/, /session 700 ms is now session/])
    assert.match(said, change);
  assert.ok(!first.hasEnded);
  const before = (await scene.figures.ledger("main")).consumed;
  await eventually("the workers of before go on", async () =>
    (await scene.figures.ledger("main")).consumed > before ? true : null,
  );

  await feeder.pause();
  const kept = await scene.reached();
  assert.deepEqual(await first.drain(), { code: 0, signal: null }, first.story());
  const patient = deployOf({ TEST_GRACE: "3000" });
  const graced = await command(patient, "describe", prefix, "--live");
  for (const store of ["views-of-page", "stay", "paid"])
    assert.match(
      graced.out,
      new RegExp(`changed +store ${store}: the grace of its windows was 500 ms and is 3000 ms now`),
    );
  const second = await WorkerProcess.start(t, { args: [], env, app: patient });
  feeder.resume();
  const counted = (await scene.figures.ledger("main")).consumed;
  await eventually("the new deploy goes on", async () =>
    (await scene.figures.ledger("main")).consumed > counted + 3_000 ? true : null,
  );
  await feeder.pause();
  await scene.figures.drained();
  const graces = second.lines.filter(({ message }) => /the grace of its windows/.test(message));
  assert.ok(graces.length >= 3, second.story());
  const now = await scene.rows();
  for (const table of timedTables) {
    const rows = new Set(now[table]);
    assert.deepEqual(
      kept[table].filter((row) => !rows.has(row)),
      [],
      `${table} has changed`,
    );
    assert.ok(rows.size > kept[table].length, `${table} has stood still`);
  }
  assert.deepEqual(await second.drain(), { code: 0, signal: null }, second.story());
});
