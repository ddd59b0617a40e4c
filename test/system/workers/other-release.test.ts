// A member of release 0.1.0, made by plain kafkajs with the bytes that its workers sent, on a real broker: the start and the
// commands that write refuse beside it with exit code 5, and the group of a new worker does not take it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test, type TestContext } from "node:test";
import { AssignerProtocol, Kafka, logLevel, type PartitionAssigner } from "kafkajs";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { ReprocessRun } from "../../support/reprocess-run.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `other-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });
const group = `${prefix}.main`;
const runGroup = `${prefix}-r1.main`;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(summing.plan(), env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

/** Its protocol's name, and the user data with which it joined. */
const asOldRelease: PartitionAssigner = () => ({
  name: "millrace-1",
  version: 1,
  protocol: ({ topics }) => ({
    name: "millrace-1",
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: 1,
      topics,
      userData: Buffer.from(JSON.stringify({ v: 1, id: "millrace-old", owned: [] })),
    }),
  }),
  assign: ({ members }) =>
    Promise.resolve(
      members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: { [sales.name]: [0, 1] },
          userData: Buffer.from(JSON.stringify({ v: 1, members: ["millrace-old"] })),
        }),
      })),
    ),
});

/** The type of the error that ended its join, or null once it is a member. */
async function oldMember(t: TestContext, of = group): Promise<string | null> {
  const brokers = (env["KAFKA_BROKERS"] ?? "").split(",");
  const kafka = new Kafka({ brokers, clientId: "millrace", logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: of, partitionAssigners: [asOldRelease] });
  const outcome = new Promise<string | null>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve(null));
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      // A coordinator that is still loading is asked again.
      if (!restart) resolve((error as Error & { type?: string }).type ?? error.name);
    });
  });
  await consumer.connect();
  t.after(() => consumer.disconnect());
  await consumer.subscribe({ topics: [sales.name, summing.plan().redrive] });
  await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
  return outcome;
}

/** The ends of the pipeline's own topics, its progress, and what its tables hold. */
async function traces() {
  const { own, all } = summing.plan().topics;
  const names = [...own, ...all.map(({ name }) => name)];
  const ends = await Promise.all(names.map((name) => figures.end(name)));
  const progress = (await figures.progress()).map(({ nextOffset }) => nextOffset);
  const rows = await database.query("SELECT * FROM millrace.progress");
  return { ends, progress, rows };
}

test("beside a worker of 0.1.0 nothing starts and nothing is written", async (t) => {
  assert.equal(await oldMember(t), null);
  const untouched = await traces();
  const verbs = [
    ["run", prefix],
    ["run", prefix, "--workers", "2"],
    ["offsets", "reset", prefix, "--to", "earliest", "--yes"],
    ["dlq", "redrive", prefix],
    ["dlq", "discard", prefix, "--reason", "tests", "--yes"],
    ["resume", prefix],
    ["drain", prefix],
    ["state", "rebuild", prefix],
    ["reprocess", "run", prefix],
    ["reprocess", "promote", prefix, "--yes"],
    ["reprocess", "undo", prefix, "--yes"],
    ["reprocess", "drop", prefix, "--run", "1", "--yes"],
  ];
  // Each waits for members to go as long as a session and 5 s.
  const refused = async (argv: readonly string[]): Promise<void> => {
    const { code, out } = await appCommand(app, argv, {
      ...env,
      MILLRACE_SESSION_TIMEOUT_MS: "1000",
    });
    assert.equal(code, 5, `${argv.join(" ")}: ${out}`);
    assert.match(out, new RegExp(`${group} has members of release 0.1.0: .*npx millrace run`));
  };
  for (let i = 0; i < verbs.length; i += 6) await Promise.all(verbs.slice(i, i + 6).map(refused));
  assert.deepEqual(await traces(), untouched);
});

test("a worker of 0.1.0 that comes later is refused by the group, and the new one works on", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [prefix], env, app });
  await worker.ready();
  assert.equal(await oldMember(t), "INCONSISTENT_GROUP_PROTOCOL");
  const producer = figures.clients.kafka.producer();
  const value = Buffer.from(JSON.stringify({ shop: "shop-1", amount: 3 }));
  const place = { topic: sales.name, partition: 0, key: Buffer.from("till"), headers: [] };
  await producer.send([{ ...place, value, timestamp: Date.now() }]);
  await producer.close();
  await figures.drained();
  assert.deepEqual(await database.query("SELECT shop, total FROM totals"), [
    { shop: "shop-1", total: 3 },
  ]);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});

test("a run that workers of 0.1.0 are at is neither gone on with nor promoted", async (t) => {
  const run = new ReprocessRun(t, { app, env, argv: [prefix, "--follow"] });
  await run.until("it follows", ({ step }) => step === "following");
  run.kill("SIGTERM");
  await run.exit;
  assert.equal(await oldMember(t, runGroup), null);
  for (const argv of [
    ["reprocess", "run", prefix, "--resume"],
    ["reprocess", "promote", prefix, "--yes"],
  ]) {
    const { code, out } = await appCommand(app, argv, {
      ...env,
      MILLRACE_SESSION_TIMEOUT_MS: "1000",
    });
    assert.equal(code, 5, out);
    assert.match(out, new RegExp(`${runGroup} has members of release 0.1.0`));
  }
});
