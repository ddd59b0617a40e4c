// What is refused before or while it runs: a Redis that would forget, copies that somebody has changed, settings, topics
// and schemas that are missing.
import assert from "node:assert/strict";
import { appCommand } from "../../support/app.ts";
import { copyKeys } from "../../support/copies-behind.ts";
import { begin, command, stopsWith, type Scenario } from "./scenario.ts";

const forgetful: Scenario = {
  row: 16,
  name: "Redis that evicts, keys gone and changed",
  how: "maxmemory-policy allkeys-lru refuses a start; one field deleted is found by state verify and mended; a key of another type stops its task",
  async run(world) {
    const { redis, crew, summing } = world;
    await begin(world);
    await crew.leave();
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    const refused = await crew.start();
    crew.expectEnd(refused);
    crew.expectStop("MILL_REDIS_EVICTS");
    const said = await Promise.race([
      refused.exit.then(() => refused.story()),
      stopsWith(world, "MILL_REDIS_EVICTS"),
    ]);
    assert.match(said, /allkeys-lru/);
    if (!refused.hasEnded) await crew.end(refused, "SIGTERM");
    await redis.config("SET", "maxmemory-policy", "noeviction");

    const key = copyKeys(summing.plan, "shop-total")[1] ?? "";
    const field = (await redis.hkeys(key)).find((name) => !name.startsWith("\0"));
    await redis.hdel(key, field ?? "");
    const { app, env } = world.commands;
    const verify = ["state", "verify", summing.plan.pipeline];
    const found = await appCommand(app, verify, env);
    assert.notEqual(found.code, 0, "a field is missing, and verify says so");
    await command(world, [...verify, "--repair"]);
    await command(world, verify);

    await redis.unlink(key);
    await redis.set(key, "not ours");
    await crew.start();
    await crew.start();
    const message = await stopsWith(world, "MILL_STATE_TYPE");
    await redis.unlink(key);
    await crew.leave();
    await crew.whole();
    return { planned: 3, fired: 3, note: `${said.slice(0, 120)} · ${message}` };
  },
};

const misconfigured: Scenario = {
  row: 44,
  name: "wrong or missing settings, topics and tables",
  how: "run with two wrong settings, without its topic, without its table: exit 78 with every problem, nothing consumed",
  async run(world) {
    const { app, env } = world.commands;
    const bad = { ...env, KAFKA_BROKERS: "nowhere", DATABASE_URL: "mysql://x" };
    const wrong = await appCommand(app, ["run"], bad);
    assert.equal(wrong.code, 78, wrong.out);
    for (const name of ["KAFKA_BROKERS", "DATABASE_URL"]) assert.ok(wrong.out.includes(name));
    const elsewhere = { ...app, env: { ...app.env, TEST_TOPICS: `${world.prefix}x` } };
    const missing = await appCommand(elsewhere, ["run"], env);
    assert.equal(missing.code, 78, missing.out);
    for (const name of ["orders", "clean", "totals"])
      assert.ok(missing.out.includes(`${world.prefix}x.${name}`), missing.out);
    await world.database.query("ALTER TABLE shop_totals RENAME TO elsewhere");
    const noTable = await appCommand(app, ["run"], env);
    assert.equal(noTable.code, 78, noTable.out);
    assert.match(noTable.out, /shop_totals/);
    assert.equal((await world.checking.ledger("main")).consumed, 0, "nothing was consumed");
    await world.database.query("ALTER TABLE elsewhere RENAME TO shop_totals");
    await begin(world);
    return { planned: 3, fired: 3, note: "exit 78 three times" };
  },
};

export const configurationScenarios: readonly Scenario[] = [forgetful, misconfigured];
