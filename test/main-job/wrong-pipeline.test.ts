// A wrong pipeline on the real command line: every problem is told, the exit code is 78, and nothing was connected.
import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Server } from "node:net";
import { after, before, test } from "node:test";
import { appCommand, appOf } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { WorkerProcess } from "../support/worker-process.ts";

/** Stands for every server at once; counts who comes. */
let server: Server;
let connections = 0;
let env: Readonly<Record<string, string>> = {};

before(async () => {
  server = createServer((socket) => {
    connections++;
    socket.on("error", () => undefined).destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  env = {
    KAFKA_BROKERS: address,
    SCHEMA_REGISTRY_URL: `http://${address}`,
    REDIS_URL: `redis://${address}`,
    DATABASE_URL: `postgres://u:p@${address}/d`,
  };
});
after(() => server.close());

const problems = [
  /MILL_BUILD_UNKNOWN .*from: expected a topic\(…\), received undefined/,
  /MILL_BUILD_KEY_ENCODING .*keys are written as string and as long/,
  /MILL_BUILD_NAME_TAKEN .*filter "same": taken at .*wrong\.ts:\d+/,
  /MILL_BUILD_NAME_TAKEN .*pipeline "twins"/,
];

for (const argv of [["run"], ["run", "--workers", "2"], ["topics", "apply"], ["tables", "apply"]])
  test(`millrace ${argv.join(" ")} tells every problem of its pipelines, exits 78 and connects to nothing`, async () => {
    const { code, out } = await appCommand(appOf("wrong"), argv, env);
    assert.equal(code, 78, out);
    for (const problem of problems) assert.match(out, problem);
    assert.equal(out.match(/^MILL_/gm)?.length, problems.length, out);
    assert.equal(connections, 0);
  });

test("a wrong setting is told together with the wrong pipelines", async () => {
  const wrong = { ...env, KAFKA_BROKERS: "nowhere" };
  const { code, out } = await appCommand(appOf("wrong"), ["run"], wrong);
  assert.equal(code, 78, out);
  for (const problem of [/MILL_CONFIG_INVALID .*KAFKA_BROKERS/, ...problems])
    assert.match(out, problem);
  assert.equal(connections, 0);
});

test("a sound pipeline does connect: the counting server sees it", async (t) => {
  await WorkerProcess.start(t, { args: [], env, app: appOf("sound") });
  await eventually("a connection", () => (connections > 0 ? true : null));
});
