// Which Redis we agree to work with, and as whom: policy, role, accounts, databases, TLS.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { createServer, getCACertificates, setDefaultCACertificates } from "node:tls";
import { inspect } from "node:util";
import type { StateCopies } from "../../../src/engine/core/state.ts";
import { aStore, at, begin, changes, hasCode, look, piece } from "../../contract/state-copy.ts";
import { ownRedis, type OwnRedis } from "./own-redis.ts";

let redis: OwnRedis;
before(async () => {
  redis = await ownRedis();
});
after(() => redis.close());

const problemsOf = async (copies: StateCopies): Promise<readonly string[]> =>
  (await copies.problems()).map(({ code }) => code);

test("an eviction policy is told with the command to run, whatever the memory limit", async (t) => {
  t.after(() => redis.admin.config("SET", "maxmemory-policy", "noeviction"));
  const copies = redis.copies();
  assert.deepEqual(await copies.problems(), []);
  for (const policy of ["allkeys-lru", "volatile-ttl"]) {
    await redis.admin.config("SET", "maxmemory-policy", policy);
    const [problem, ...more] = await copies.problems();
    assert.deepEqual([problem?.code, more.length], ["MILL_REDIS_EVICTS", 0]);
    assert.ok(problem?.message.includes(policy));
  }
});

test("a replica is told, and a write to one that was a primary is tried again", async (t) => {
  t.after(() => redis.admin.call("REPLICAOF", "NO", "ONE"));
  const copy = await begin(redis.copies().copy(aStore()), 0, { a: "1" });
  await redis.admin.call("REPLICAOF", "127.0.0.1", "1");
  const isAway = hasCode("MILL_REDIS_UNAVAILABLE", "retry");
  await assert.rejects(copy.apply(piece(0, 5, { a: "2" })), isAway);
  assert.deepEqual(await problemsOf(redis.copies()), ["MILL_REDIS_REPLICA"]);
  await redis.admin.call("REPLICAOF", "NO", "ONE");
  assert.equal(await redis.copies().copy(aStore()).position(), null);
  assert.deepEqual(await problemsOf(redis.copies()), []);
});

const urlWith = (account: string, path = ""): string =>
  redis.url.replace("redis://", `redis://${account}@`) + path;

test("a wrong account halts, and no message holds the password", async (t) => {
  await redis.admin.call("ACL", "SETUSER", "someone", "on", ">pass/word", "~*", "+@all");
  t.after(() => redis.admin.call("ACL", "DELUSER", "someone"));
  const isRefused = (error: unknown): boolean => {
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /top-secret|pass.*word/);
    return hasCode("MILL_REDIS_AUTH")(error);
  };
  const wrong = redis.copies({ url: urlWith("someone:top-secret") }).copy(aStore());
  await assert.rejects(wrong.position(), isRefused);
  await assert.rejects(wrong.apply(piece(0, 1)), isRefused);
  const right = redis.copies({ url: urlWith("someone:pass%2Fword") }).copy(aStore());
  assert.equal(await right.position(), null);
});

test("a Redis that wants a password halts one that has none", async (t) => {
  await redis.admin.config("SET", "requirepass", "top-secret");
  t.after(() => redis.admin.config("SET", "requirepass", ""));
  const copies = redis.copies();
  await assert.rejects(copies.copy(aStore()).position(), hasCode("MILL_REDIS_AUTH"));
  await assert.rejects(copies.problems(), hasCode("MILL_REDIS_AUTH"));
  assert.deepEqual(await redis.copies({ url: urlWith(":top-secret") }).problems(), []);
});

/** The rights of docs/state.md. */
const documentedRights = (): readonly string[] => {
  const text = readFileSync(new URL("../../../docs/state.md", import.meta.url), "utf8");
  return /ACL SETUSER millrace on (.*)/.exec(text)?.[1]?.split(" ") ?? [];
};

test("the rights that are documented are enough, and less is told", async (t) => {
  const rights = documentedRights();
  assert.ok(rights.includes("+evalsha"));
  await redis.admin.call("ACL", "SETUSER", "millrace", "on", ...rights.filter((r) => r[0] !== ">"));
  await redis.admin.call("ACL", "SETUSER", "millrace", ">word");
  t.after(() => redis.admin.call("ACL", "DELUSER", "millrace"));
  const copies = redis.copies({ url: urlWith("millrace:word") });
  assert.deepEqual(await copies.problems(), []);
  const copy = await begin(copies.copy({ ...aStore(), prefix: "shop-totals" }), 0, { a: "1" });
  assert.equal(await copy.apply(piece(0, 5, { a: null, b: "2" })), "applied");
  assert.deepEqual(await look(copy, "a", "b"), [5n, null, "2"]);
  assert.equal((await copy.scan(null, 10)).entries.length, 1);
  const rebuild = await copy.rebuild();
  await rebuild.put(changes({ c: "3" }));
  await rebuild.discard();
  await copy.remove();
  for (const right of rights.filter((each) => each.startsWith("+") && each !== "+info")) {
    await redis.admin.call("ACL", "SETUSER", "millrace", right.replace("+", "-"));
    const attempt = async (): Promise<void> => {
      const fresh = copies.copy({ ...aStore(), prefix: "shop-totals" });
      await redis.admin.script("FLUSH");
      await begin(fresh, 0, { a: ["1", 3] });
      await fresh.apply(piece(0, 5, { a: null, b: ["2", 4] }));
      await fresh.read([]);
      await fresh.due(9, 10, 0);
      await fresh.scan(null, 10);
      await (await fresh.rebuild()).finish(at(9));
      const lost = await fresh.rebuild();
      await lost.discard();
      await lost.finish(at(9)).catch((error: { code: string }) => {
        if (error.code !== "MILL_STATE_REBUILD_LOST") throw error;
      });
      await fresh.remove();
    };
    await assert.rejects(attempt(), hasCode("MILL_REDIS_AUTH"), `${right} is not needed`);
    await redis.admin.call("ACL", "SETUSER", "millrace", right);
  }
});

test("a database that the server does not have halts: no other one is used in its place", async () => {
  const isRefused = hasCode("MILL_REDIS_REFUSED");
  const copy = redis.copies({ url: `${redis.url}/99` }).copy(aStore());
  await assert.rejects(copy.rebuild(), isRefused);
  await assert.rejects(copy.rebuild(), isRefused);
  // The rest of the line, a mean of times to live, changes by itself.
  const keysIn = async (database: number): Promise<string | undefined> =>
    new RegExp(`db${String(database)}:keys=(\\d+),`).exec(await redis.admin.info("keyspace"))?.[1];
  const used = await keysIn(0);
  await begin(redis.copies({ url: `${redis.url}/5` }).copy(aStore()), 0);
  assert.equal(await keysIn(5), "1");
  assert.equal(await keysIn(0), used);
});

/** TLS in front of Redis, with a certificate of its own making. */
async function tlsProxy(t: TestContext): Promise<{ port: number; certificate: string }> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-tls-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const of = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const what = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...what, ...of], { stdio: "ignore" });
  const certificate = readFileSync(cert, "utf8");
  const { hostname, port } = new URL(redis.url);
  const server = createServer({ key: readFileSync(key), cert: certificate }, (socket) => {
    const inner = connect(Number(port), hostname);
    inner.on("error", () => socket.destroy());
    socket.on("error", () => inner.destroy());
    socket.pipe(inner).pipe(socket);
  });
  // A handshake that the client breaks off.
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, certificate };
}

test("rediss:// speaks TLS, and refuses a certificate that nobody vouches for", async (t) => {
  const { port, certificate } = await tlsProxy(t);
  const url = `rediss://localhost:${String(port)}`;
  const store = aStore();
  const refused = redis.copies({ url }).copy(store);
  await assert.rejects(refused.position(), hasCode("MILL_REDIS_REFUSED"));
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, certificate]);
  t.after(() => setDefaultCACertificates(trusted));
  const copy = await begin(redis.copies({ url }).copy(store), 7, { a: "1" });
  assert.deepEqual(await look(copy, "a"), [7n, "1"]);
  assert.deepEqual(await look(redis.copies().copy(store), "a"), [7n, "1"]);
});
