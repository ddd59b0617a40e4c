// Secrets in every setting, in every shape, against every command: not one is printed, at whatever level of the log.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Command } from "commander";
import fc from "fast-check";
import { main } from "../../src/cli/main.ts";
import { verbs } from "../../src/cli/verbs.ts";
import { hidingSecretsOf } from "../../src/engine/clients/environment-secrets.ts";
import { createLog } from "../../src/engine/clients/pino-log.ts";
import { schemaRegistry } from "../../src/engine/clients/registry.ts";
import { environments, leaks } from "../support/secret-shapes.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-secrets-"));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Every verb that is there, with arguments that it takes. */
const commands: readonly (readonly string[])[] = [
  ["up", "--json"],
  ["down"],
  ["status"],
  ["doctor"],
  ["topics", "plan"],
  ["topics", "apply"],
  ["tables", "plan"],
  ["acls"],
  ["describe", "customer-orders"],
  ["run", "customer-orders"],
  ["run", "retail", "--workers", "2"],
  ["produce", "customers", "--file", "/none"],
  ["consume", "customers"],
  ["lag"],
  ["offsets", "show", "customer-orders"],
  ["drain", "customer-orders"],
  ["resume", "customer-orders"],
  ["dlq", "list", "customer-orders"],
  ["ledger", "customer-orders"],
  ["notes", "show", "retail"],
  ["state", "get", "customer-value", "value", "--key", "k"],
  ["reprocess", "show", "customer-orders"],
  ["explain", "MILL_KAFKA_AUTH"],
];

interface Printed {
  readonly lines: string[];
  readonly code: number;
}

async function printed(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Printed> {
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const io = {
    env: { PATH: process.env["PATH"], ...env },
    cwd: dir,
    isTty: false,
    out: say,
    err: say,
  };
  return { lines, code: await main(argv, io, verbs) };
}

test("every verb is among them", () => {
  const program = new Command();
  for (const verb of verbs) verb(program, () => Promise.resolve());
  const here = new Set(commands.map(([verb]) => verb));
  // They take no settings of their own: `demo` is the others one after the other, `schemas` connects to nothing.
  for (const name of ["demo", "schemas"]) here.add(name);
  assert.deepEqual(
    program.commands.map((one) => one.name()).filter((name) => !here.has(name)),
    [],
  );
});

test("no command prints a secret of settings that are drawn at random", async () => {
  const quick = commands.filter(([verb]) => verb !== "run" && verb !== "down");
  await fc.assert(
    fc.asyncProperty(environments, fc.constantFrom(...quick), async (env, argv) => {
      // The list of brokers is one that is refused, so that no command waits for Kafka.
      const settings = { KAFKA_BROKERS: "canary-of-kafka", ...env };
      const { lines } = await printed(argv, settings);
      assert.ok(lines.length > 0, argv.join(" "));
      for (const line of lines) assert.ok(!leaks(line), `${argv.join(" ")}: ${line}`);
    }),
    { numRuns: 200 },
  );
});

const bin = join(import.meta.dirname, "../../bin/millrace.js");

/** Well-formed, with nobody at the addresses: what is printed are the errors of the drivers. */
function dead(): Readonly<Record<string, string>> {
  const file = join(dir, "registry-url");
  writeFileSync(file, "http://u:canary-1%40x@127.0.0.1:1/apis?");
  return {
    KAFKA_BROKERS: "127.0.0.1:1",
    KAFKA_SECURITY_PROTOCOL: "SASL_PLAINTEXT",
    KAFKA_SASL_MECHANISM: "PLAIN",
    KAFKA_SASL_USERNAME: "u",
    KAFKA_SASL_PASSWORD: "canary-2",
    SCHEMA_REGISTRY_URL_FILE: file,
    REDIS_URL: "redis://:canary-3%2F@127.0.0.1:1",
    DATABASE_URL: "postgres://u:canary-4@127.0.0.1:1/d?sslmode=disable&sslpassword=canary-5",
    MILLRACE_LOG_LEVEL: "debug",
    MILLRACE_HTTP_PORT: "0",
  };
}

/** The command as a process of its own; a worker is asked to stop once it has logged something. */
const ended = (argv: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
    const env = { PATH, HOME, NODE_COMPILE_CACHE, ...dead() };
    const done = (_error: unknown, out: string, err: string): void => resolve(out + err);
    const child = execFile(process.execPath, [bin, ...argv], { cwd: dir, env }, done);
    // A worker waits for its servers for ever.
    if (argv[0] === "run") child.stderr?.once("data", () => setTimeout(() => child.kill(), 3_000));
  });

test("no command, and no worker at debug level, prints a secret while servers are away", async () => {
  const texts = commands.map(async (argv) => {
    const inProcess = async (): Promise<string> => (await printed(argv, dead())).lines.join("\n");
    const text = argv[0] === "run" ? await ended(argv) : await inProcess();
    assert.ok(text.length > 0 || argv[0] === "down", argv.join(" "));
    assert.ok(!leaks(text), `${argv.join(" ")}: ${text}`);
    return text;
  });
  const all = (await Promise.all(texts)).join("\n");
  for (const seen of ["at 127.0.0.1:1", "sslpassword=***", "waiting for a dependency"])
    assert.ok(all.includes(seen), `the servers were asked: ${seen}\n${all}`);
});

test("a registry that quotes our login back does not get it printed", async () => {
  const server = createServer((request, response) => {
    const { authorization = "" } = request.headers;
    const plain = Buffer.from(authorization.replace("Basic ", ""), "base64").toString();
    response.writeHead(401, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: `not ${authorization}, ${plain}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://u:canary-6@127.0.0.1:${String(port)}/apis`;
  const error: unknown = await schemaRegistry({ url })
    .schemaById(1)
    .catch((thrown: unknown) => thrown);
  server.close();
  assert.match(String(error), /MILL_REGISTRY_AUTH|refuses our credentials/);
  const lines: string[] = [];
  const hide = hidingSecretsOf({ SCHEMA_REGISTRY_URL: url });
  createLog({ level: "debug", base: {}, hide }, { write: (line) => lines.push(line) }).error(
    { error },
    String(error),
  );
  assert.match(lines[0] ?? "", /not Basic \*\*\*/);
  assert.ok(!leaks(lines[0] ?? ""), lines[0]);
});
