// A start that waits for a server says within seconds which one, where, and why: in the log and in /ready. A command says it
// too, and ends with it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, type AddressInfo, type Server } from "node:net";
import { after, before, test } from "node:test";
import { appCommand, appOf, applyApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { sharedStack, type StackEnv } from "../support/stack.ts";
import { freePort, WorkerProcess } from "../support/worker-process.ts";

const app = appOf("totals", { TEST_TOPICS: `waiting-${randomBytes(4).toString("hex")}` });
let env: StackEnv;
/** Takes connections and never answers. */
let silent: Server;

before(async () => {
  env = await sharedStack();
  await applyApp(app, { ...env });
  silent = createServer((socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
});
after(() => silent.close());

const at = (port: number): string => `127.0.0.1:${String(port)}`;
const addresses = {
  kafka: (address: string) => ({ KAFKA_BROKERS: address }),
  registry: (address: string) => ({ SCHEMA_REGISTRY_URL: `http://${address}` }),
  redis: (address: string) => ({ REDIS_URL: `redis://${address}` }),
  postgres: (address: string) => ({ DATABASE_URL: `postgres://u:p@${address}/d` }),
};

for (const [dependency, settings] of Object.entries(addresses))
  test(`a start without ${dependency} says so, with address and error`, async (t) => {
    const address = at(await freePort());
    const started = Date.now();
    const worker = await WorkerProcess.start(t, {
      args: [],
      env: { ...env, ...settings(address) },
      app,
    });
    const line = await eventually("the log says it", () =>
      worker.lines.find((one) => one.message === "waiting for a dependency"),
    );
    t.diagnostic(`said ${String(Date.now() - started)} ms after the process was started`);
    assert.equal(line["dependency"], dependency);
    assert.match(
      String(line["error"]),
      new RegExp(`ECONNREFUSED.*${address}|${address}.*ECONNREF`),
    );
    const { ok, reasons } = await eventually("/ready says it", async () => {
      const health = await worker.health();
      return health?.reasons.some((reason) => reason.includes(address)) === true ? health : null;
    });
    assert.equal(ok, false);
    const reason = new RegExp(
      `^not yet a member of every .*: ${dependency} is away: .*ECONNREFUSED`,
    );
    assert.match(reasons.join("\n"), reason);
    worker.kill("SIGTERM");
    assert.equal((await worker.exit).code, 0);
  });

test("brokers that swallow every byte are named long before the client gives up", async (t) => {
  const address = at((silent.address() as AddressInfo).port);
  const worker = await WorkerProcess.start(t, {
    args: [],
    env: { ...env, KAFKA_BROKERS: address },
    app,
  });
  const line = await eventually("the log says it", () =>
    worker.lines.find((one) => one.message === "waiting for a dependency"),
  );
  assert.match(String(line["error"]), new RegExp(`no answer yet, at ${address}`));
});

test("a command says at once for what it waits, and ends with the same words", async () => {
  const address = at(await freePort());
  const wrong = { ...env, KAFKA_BROKERS: address };
  const { code, out } = await appCommand(app, ["topics", "plan"], wrong);
  assert.equal(code, 69, out);
  assert.match(out, new RegExp(`^waiting for Kafka: .*ECONNREFUSED ${address}`, "m"));
  assert.match(out, new RegExp(`^MILL_KAFKA_UNAVAILABLE .*ECONNREFUSED ${address}`, "m"));
});
