import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { SchemaRegistry } from "../../../src/engine/core/ports.ts";
import { schemaRegistry } from "../../../src/engine/clients/registry.ts";
import { eventually } from "../../support/eventually.ts";

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
interface Asked {
  readonly line: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** "hang" never answers, "slow" never ends, "drip" sends a byte now and then, "cut" closes inside its answer. */
type Fault = "hang" | "slow" | "drip" | "cut";

interface Stub {
  readonly registry: SchemaRegistry;
  readonly asked: Asked[];
  readonly url: string;
  readonly server: Server;
  /** Every connection that was ever made. */
  readonly sockets: Socket[];
}

/** A registry that answers by request line. */
async function stub(
  t: TestContext,
  answers: Readonly<Record<string, Answer | Fault>>,
): Promise<Stub> {
  const asked: Asked[] = [];
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const line = `${request.method ?? ""} ${request.url ?? ""}`;
      asked.push({ line, authorization: request.headers.authorization, body });
      const answer = answers[line] ?? { status: 404, body: "<html>no such page</html>" };
      if (typeof answer === "string") return fail(response, answer);
      response.writeHead(answer.status, answer.headers);
      response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
    });
  });
  server.on("connection", (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/api`;
  return { registry: schemaRegistry({ url, deadlineMs: 150 }), asked, url, server, sockets };
}

function fail(response: ServerResponse, fault: Fault): void {
  if (fault === "hang") return;
  response.write('{"schema":');
  if (fault === "cut") setTimeout(() => response.destroy(), 20);
  if (fault !== "drip") return;
  const dripping = setInterval(() => response.write(" "), 20);
  response.on("close", () => clearInterval(dripping));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

async function failure(action: Promise<unknown>): Promise<MillraceError> {
  try {
    await action;
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const missing = (code: number): Answer => ({
  status: 404,
  body: { error_code: code, message: "no" },
});
const recordOf = (...fields: object[]): string =>
  JSON.stringify({ type: "record", name: "R", fields });
const a = { name: "a", type: "int" };
const b = { name: "b", type: "int" };

test("a schema comes by its id, and is missing only by the registry's own word", async (t) => {
  const { registry } = await stub(t, {
    "GET /api/schemas/ids/1": ok({ schema: '"string"' }),
    "GET /api/schemas/ids/2": missing(40403),
  });
  assert.equal(await registry.schemaById(1), '"string"');
  assert.equal(await registry.schemaById(2), null);
  const error = await failure(registry.schemaById(3));
  assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE");
  assert.match(error.message, /answered 404; check the path in SCHEMA_REGISTRY_URL/);
});

test("whatever may pass by itself is a retry, never a missing schema", async (t) => {
  const { registry, asked } = await stub(t, {
    "GET /api/schemas/ids/1": { status: 500, body: { error_code: 50001, message: "broken" } },
    "GET /api/schemas/ids/2": { status: 400, body: "connect ECONNREFUSED" },
    "GET /api/schemas/ids/3": { status: 429, body: "" },
    "GET /api/schemas/ids/4": ok("<html>a proxy's page</html>"),
    "GET /api/schemas/ids/5": ok({ other: 1 }),
    "GET /api/schemas/ids/6": { status: 503, body: { error_code: 40403 } },
    "GET /api/schemas/ids/7": { status: 502, body: "null" },
    "GET /api/schemas/ids/8": { status: 404, body: "null" },
    "GET /api/schemas/ids/9": ok("null"),
  });
  for (const id of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const error = await failure(registry.schemaById(id));
    assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE", String(id));
    assert.equal(error.disposition, "retry");
    assert.doesNotMatch(error.message, /no answer within/, String(id));
  }
  assert.equal(asked.length, 9, "each was asked once: trying again is the caller's");
});

test("an answer that is larger than any schema is refused before it is in memory", async (t) => {
  let sent = 0;
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"schema":"');
    const chunk = Buffer.alloc(1_048_576, "x");
    const more = (): void => {
      while (sent < 400 && !response.destroyed) {
        sent++;
        if (!response.write(chunk)) return void response.once("drain", more);
      }
      response.end('"}');
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const registry = schemaRegistry({ url, deadlineMs: 60_000 });
  const error = await failure(registry.schemaById(1));
  assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE");
  assert.match(error.message, /its answer is larger than 4194304 bytes/);
  assert.ok(sent < 40, `${String(sent)} MB were sent`);
});

test("a redirection to another host is not followed", async (t) => {
  const other = await stub(t, { "GET /api/schemas/ids/1": ok({ schema: '"string"' }) });
  const { registry } = await stub(t, {
    "GET /api/schemas/ids/1": {
      ...{ status: 307, body: { schema: "0" } },
      headers: { location: `${other.url}/schemas/ids/1` },
    },
  });
  const error = await failure(registry.schemaById(1));
  assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE");
  assert.equal(other.asked.length, 0);
});

test("a redirection is not followed, and the message says where to mend it", async (t) => {
  const { registry, asked } = await stub(t, {
    "GET /api/schemas/ids/1": {
      status: 301,
      body: { schema: "0" },
      headers: { location: "/api/schemas/ids/2" },
    },
    "GET /api/schemas/ids/2": ok({ schema: '"string"' }),
  });
  const error = await failure(registry.schemaById(1));
  assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE");
  assert.match(error.message, /answered 301; SCHEMA_REGISTRY_URL must be where that leads to/);
  assert.equal(asked.length, 1);
});

for (const [fault, conduct] of [
  ["hang", "hangs"],
  ["slow", "sends half an answer and stops"],
  ["drip", "never ends its answer"],
  ["cut", "closes inside its answer"],
] as const)
  test(`a registry that ${conduct} is away after the deadline, and its connection is gone`, async (t) => {
    const { registry, sockets } = await stub(t, {
      "GET /api/schemas/ids/1": fault,
      "POST /api/subjects/s": fault,
    });
    for (const ask of [() => registry.schemaById(1), () => registry.idOf("s", recordOf(a))]) {
      const started = performance.now();
      const error = await failure(ask());
      assert.equal(error.code, "MILL_REGISTRY_UNAVAILABLE");
      assert.match(error.message, /no answer within 150 ms/);
      assert.ok(performance.now() - started < 2_000);
    }
    assert.equal(sockets.length, 2);
    const areGone = (): true | null => (sockets.every(({ closed }) => closed) ? true : null);
    await eventually("the connections are gone", areGone);
  });

test("requests share a connection", async (t) => {
  const { registry, sockets } = await stub(t, {
    "GET /api/schemas/ids/1": ok({ schema: '"string"' }),
    "GET /api/schemas/ids/2": missing(40403),
  });
  await registry.schemaById(1);
  await registry.schemaById(2);
  await registry.schemaById(1);
  assert.equal(sockets.length, 1);
});

test("a process ends by itself after good answers and late ones, and not before they are in", async (t) => {
  const { url } = await stub(t, {
    "GET /api/schemas/ids/1": ok({ schema: '"string"' }),
    "GET /api/schemas/ids/2": "hang",
    "GET /api/schemas/ids/3": "slow",
    "GET /api/schemas/ids/4": "cut",
  });
  const program = `
    import { schemaRegistry } from ${JSON.stringify(import.meta.resolve("../../../src/engine/clients/registry.ts"))};
    const url = ${JSON.stringify(url)};
    const registry = schemaRegistry({ url, deadlineMs: 150 });
    const patient = schemaRegistry({ url, deadlineMs: 600_000 });
    console.log(await patient.schemaById(1));
    for (const id of [1, 2, 3, 4, 1])
      console.log(await registry.schemaById(id).catch((error) => error.code));
  `;
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program],
    { timeout: 30_000 },
  );
  const away = "MILL_REGISTRY_UNAVAILABLE";
  const schema = '"string"';
  assert.deepEqual(stdout.trim().split("\n"), [schema, schema, away, away, away, schema]);
  assert.equal(stderr, "");
});

test("a registry that is down is a retry, and the message names the address and the reason", async () => {
  const error = await failure(schemaRegistry({ url: "http://127.0.0.1:1/" }).schemaById(1));
  assert.equal(error.disposition, "retry");
  assert.match(error.message, /http:\/\/127\.0\.0\.1:1\/schemas\/ids\/1: ECONNREFUSED/);
});

test("a right that is missing is named with its subject or schema", async (t) => {
  const forbidden = { status: 403, body: { error_code: 40301, message: "no" } };
  const { url } = await stub(t, {
    "GET /api/schemas/ids/1": forbidden,
    "POST /api/subjects/a%2Fb-value": forbidden,
    "POST /api/subjects/s": missing(40401),
    "GET /api/subjects/s/versions/latest": missing(40401),
    "POST /api/subjects/s/versions": forbidden,
  });
  const registry = schemaRegistry({ url });
  for (const [work, words] of [
    [registry.schemaById(1), "read the schema 1"],
    [registry.idOf("a/b-value", '"string"'), "read the subject a/b-value"],
    [registry.register("s", '"string"'), "write the subject s"],
  ] as const) {
    const { code, message } = await failure(work);
    assert.equal(code, "MILL_REGISTRY_AUTH");
    assert.ok(message.endsWith(`answered 403: no (the user needs the right to ${words})`), message);
  }
});

test("credentials go as Basic auth, from the settings or the address, and into no message", async (t) => {
  const { asked, url, server } = await stub(t, {
    "GET /api/schemas/ids/1": { status: 401, body: { message: "who are you" } },
  });
  const inAddress = url.replace("http://", "http://us%40er:secret@");
  for (const settings of [{ url: inAddress }, { url, username: "us@er", password: "secret" }]) {
    const error = await failure(schemaRegistry(settings).schemaById(1));
    assert.equal(error.code, "MILL_REGISTRY_AUTH");
    assert.doesNotMatch(error.message, /secret/);
  }
  const expected = `Basic ${Buffer.from("us@er:secret").toString("base64")}`;
  assert.deepEqual(
    asked.map(({ authorization }) => authorization),
    [expected, expected],
  );
  assert.ok(server.listening);
});

test("an id is looked up by subject and schema", async (t) => {
  const { registry, asked } = await stub(t, {
    "POST /api/subjects/o%2Frders-value": ok({ id: 5 }),
    "POST /api/subjects/none-value": missing(40401),
    "POST /api/subjects/other-value": missing(40403),
  });
  assert.equal(await registry.idOf("o/rders-value", recordOf(a)), 5);
  assert.equal(await registry.idOf("none-value", recordOf(a)), null);
  assert.equal(await registry.idOf("other-value", recordOf(a)), null);
  assert.equal(asked[0]?.body, JSON.stringify({ schema: recordOf(a) }));
});

test("the first registration holds the subject to BACKWARD; a stricter level stays", async (t) => {
  const answers = (level: Answer): Record<string, Answer> => ({
    "POST /api/subjects/s": missing(40401),
    "GET /api/subjects/s/versions/latest": missing(40401),
    "POST /api/subjects/s/versions": ok({ id: 9 }),
    "GET /api/config/s": level,
    "PUT /api/config/s": ok({ compatibility: "BACKWARD" }),
  });
  for (const [level, expected] of [
    [missing(40401), 1],
    [ok({ compatibilityLevel: "NONE" }), 1],
    [ok({ compatibilityLevel: "FULL" }), 0],
    [ok({ compatibilityLevel: "FORWARD" }), 0],
  ] as const) {
    const { registry, asked } = await stub(t, answers(level));
    assert.equal(await registry.register("s", recordOf(a)), 9);
    assert.equal(asked.filter(({ line }) => line.startsWith("PUT")).length, expected);
  }
});

test("a schema that is registered already is not written again", async (t) => {
  const { registry, asked } = await stub(t, { "POST /api/subjects/s": ok({ id: 4 }) });
  assert.equal(await registry.register("s", recordOf(a)), 4);
  assert.equal(asked.length, 1);
});

test("an incompatible schema is refused with its field, also where the registry would take it", async (t) => {
  const { registry, asked } = await stub(t, {
    "POST /api/subjects/s": missing(40403),
    "GET /api/subjects/s/versions/latest": ok({ id: 1, version: 1, schema: recordOf(a) }),
    "POST /api/subjects/s/versions": ok({ id: 2 }),
  });
  const error = await failure(registry.register("s", recordOf(a, b)));
  assert.equal(error.code, "MILL_SCHEMA_INCOMPATIBLE");
  assert.match(error.message, /s: b: is new and has no default/);
  assert.ok(!asked.some(({ line }) => line.endsWith("/versions")));
});

test("the registry's own refusal of a schema stops, with its words", async (t) => {
  const { registry } = await stub(t, {
    "POST /api/subjects/s": missing(40401),
    "GET /api/subjects/s/versions/latest": missing(40401),
    "POST /api/subjects/s/versions": {
      status: 409,
      body: { error_code: 409, message: "b at /fields/1" },
    },
    "POST /api/subjects/t": missing(40401),
    "GET /api/subjects/t/versions/latest": missing(40401),
    "POST /api/subjects/t/versions": {
      status: 422,
      body: { error_code: 42201, message: "no schema" },
    },
  });
  const incompatible = await failure(registry.register("s", recordOf(a)));
  assert.equal(incompatible.code, "MILL_SCHEMA_INCOMPATIBLE");
  assert.match(incompatible.message, /b at \/fields\/1/);
  assert.equal((await failure(registry.register("t", recordOf(a)))).code, "MILL_SCHEMA_INVALID");
});

test("the newest version comes whole", async (t) => {
  const { registry } = await stub(t, {
    "GET /api/subjects/s/versions/latest": ok({ id: 3, version: 2, schema: '"int"', subject: "s" }),
    "GET /api/subjects/none/versions/latest": missing(40401),
  });
  assert.deepEqual(await registry.latest("s"), { id: 3, version: 2, schema: '"int"' });
  assert.equal(await registry.latest("none"), null);
});
