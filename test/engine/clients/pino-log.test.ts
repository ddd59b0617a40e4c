import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { createLog, type LogLevel } from "../../../src/engine/clients/pino-log.ts";
import { DependencyError, TransformError } from "../../../src/engine/core/errors.ts";
import { hiding } from "../../../src/engine/core/secrets.ts";
import type { LogFacts, Log } from "../../../src/engine/core/ports.ts";

function capture(level: LogLevel = "debug", base: LogFacts = {}): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({ level, base }, { write: (line) => void lines.push(line) });
  return { log, lines };
}

function logged(facts: LogFacts): Record<string, unknown> {
  const { log, lines } = capture();
  log.error(facts, "it failed");
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
}

test("a fact is one line of JSON with level, time, base, facts and message", () => {
  const { log, lines } = capture("info", { worker: 1 });
  log.warn({ topic: "orders", offset: 2n ** 60n }, "two\nlines");
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.indexOf("\n"), lines[0]!.length - 1);
  const { time, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.deepEqual(rest, {
    level: "warn",
    worker: 1,
    topic: "orders",
    offset: "1152921504606846976",
    message: "two\nlines",
  });
});

test("lines below the level are not written, and silent writes none", () => {
  const warn = capture("warn");
  for (const log of [warn.log, capture("silent").log]) {
    log.debug({}, "a");
    log.info({}, "b");
    log.warn({}, "c");
    log.error({}, "d");
  }
  assert.equal(warn.lines.length, 2);
});

test("values under names of secrets are hidden at any depth", () => {
  const secrets = {
    password: "canary",
    KAFKA_SASL_PASSWORD: "canary",
    nested: [{ apiKey: "canary", sasl: { authorization: "canary", clientSecret: "canary" } }],
    env: { MILLRACE_TOKEN: "canary", passwd: ["canary"] },
  };
  assert.doesNotMatch(JSON.stringify(logged(secrets)), /canary/);
  assert.equal(logged({ password: "x" })["password"], "[hidden]");
});

test("credentials in an address are cut out of facts and messages", () => {
  const { log, lines } = capture();
  const url = "postgres://user:canary@p@db:5432/x";
  log.info({ url, list: [url] }, `lost ${url}`);
  assert.doesNotMatch(lines[0]!, /canary|user/);
  assert.match(lines[0]!, /lost postgres:\/\/\*\*\*@db:5432\/x/);
});

test("the last guard takes a secret out of a finished line, wherever it came from", () => {
  const lines: string[] = [];
  const hide = hiding([["KAFKA_SASL_PASSWORD", 'ca"nary\\1']]);
  const log = createLog({ level: "debug", base: {}, hide }, { write: (line) => lines.push(line) });
  const cause = Object.assign(new Error('refused ca"nary\\1'), { code: 'ca"nary\\1' });
  const error = new DependencyError("MILL_KAFKA_REFUSED", 'ca"nary\\1', { cause });
  log.debug({ error, 'ca"nary\\1': 1, list: [encodeURIComponent('ca"nary\\1')] }, 'x ca"nary\\1');
  assert.doesNotMatch(lines[0] ?? "", /nary/);
  assert.equal((JSON.parse(lines[0] ?? "") as { message: string }).message, "x ***");
});

test("bytes never reach the log", () => {
  const line = JSON.stringify(
    logged({ value: Buffer.from("canary"), deep: { key: Buffer.of(1) } }),
  );
  assert.match(line, /"value":"\[hidden\]"/);
  assert.doesNotMatch(line, /canary|"data"/);
});

test("an error of ours becomes code, where, message and frames, with its cause", () => {
  const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:5432"), {
    code: "ECONNREFUSED",
    detail: "canary",
    config: { password: "canary" },
  });
  const error = new DependencyError("MILL_POSTGRES_UNAVAILABLE", "db:5432", {
    cause,
    where: { topic: "orders", offset: 5n },
  });
  const fact = logged({ error })["error"] as Record<string, unknown>;
  assert.equal(fact["code"], "MILL_POSTGRES_UNAVAILABLE");
  assert.equal(fact["message"], "Postgres cannot be used now: db:5432");
  assert.deepEqual(fact["where"], { topic: "orders", offset: "5" });
  const frames = fact["stack"] as string[];
  assert.ok(frames.length > 0 && frames.every((frame) => frame.startsWith("at ")));
  const { stack, ...rest } = fact["cause"] as Record<string, unknown>;
  assert.ok(Array.isArray(stack));
  assert.deepEqual(rest, {
    code: "ECONNREFUSED",
    message: "connect ECONNREFUSED 127.0.0.1:5432",
  });
});

test("what a foreign error quotes is left out: JSON.parse quotes its input", () => {
  let thrown: unknown;
  try {
    JSON.parse("canary@example.com");
  } catch (error) {
    thrown = error;
  }
  assert.match(String(thrown), /canary/);
  assert.doesNotMatch(JSON.stringify(logged({ error: thrown })), /canary/);
});

test("what a callback threw over a record is told by name and frames, not by message", () => {
  const thrown = new RangeError("bad customer canary@example.com", { cause: new Error("canary") });
  const error = new TransformError("MILL_TRANSFORM_THREW", "step normalise", { cause: thrown });
  const fact = logged({ error })["error"] as { cause: Record<string, unknown> };
  assert.doesNotMatch(JSON.stringify(fact), /canary/);
  assert.equal(fact.cause["name"], "RangeError");
});

test("facts that refer to themselves end", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  assert.ok(logged({ loop }));
});

test("the log goes to stderr, and stdout stays free for data", () => {
  const module = new URL("../../../src/engine/clients/pino-log.ts", import.meta.url).href;
  const script = `import { createLog } from ${JSON.stringify(module)};
    createLog({ level: "info", base: {} }).info({ n: 1 }, "hello"); process.exit(0);`;
  const args = ["--input-type=module", "--eval", script];
  const child = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(child.stdout, "");
  assert.match(child.stderr, /"n":1,"message":"hello"\}\n$/);
});
