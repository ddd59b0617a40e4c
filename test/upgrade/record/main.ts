// Makes the recording of a release: node test/upgrade/record/main.ts <a checkout of the release with its node_modules>.
// The release's own commands and workers do everything, on servers of its own; then the servers' data are written down, and
// the same release works off the rest, whose results are the answer that later releases must come to as well.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  startService,
  startStack,
  stopService,
  stopStack,
  type Stack,
} from "../../../src/stack/stack.ts";
import { serverEnv } from "../../support/stack.ts";
import { answerOf, workOff } from "../onward.ts";
import { writeAnswer, writeRecording } from "../recording.ts";
import { Session } from "../session.ts";
import { statementsOf } from "./database.ts";
import { leaveBehind } from "./scenario.ts";
import { dataDirOf, hashesIn, logsIn, offsetsIn, schemasIn, topicsIn } from "./servers.ts";

const root = resolve(process.argv[2] ?? "");
const APP = "test/support/apps/upgrade.ts";
const release = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }
).version;
const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
const say = (line: string): void => void process.stderr.write(`${line}\n`);

copyFileSync(join(import.meta.dirname, "../app.ts"), join(root, APP));
const dir = mkdtempSync(join(tmpdir(), "millrace-record-"));
const works: (() => Promise<void>)[] = [];
const owner = { after: (work: () => Promise<void>) => void works.push(work) };
try {
  await record(await startStack({ dir, env: serverEnv(), say, durable: false }));
} finally {
  for (const work of works.reverse()) await work();
  await stopStack(dir, say, { purge: true });
  rmSync(dir, { recursive: true, force: true });
}

async function record(stack: Stack): Promise<void> {
  const session = await Session.open({ root, app: APP, env: stack.env, owner });
  const freeze = (isFrozen: boolean): void => {
    process.kill(stack.pids.kafka ?? 0, isFrozen ? "SIGSTOP" : "SIGCONT");
  };
  await leaveBehind({ session, freeze });
  const figures = session.figures("shop");
  const topics = await topicsIn(figures);
  const offsets = await offsetsIn(figures, topics);
  const letters = await session.letters();
  await session.close();
  await stopService(dir, "kafka");
  const kept = logsIn(dataDirOf(dir), topics);
  await startService(dir, "kafka", serverEnv());
  writeRecording({
    ...{ release, commit, takenMs: Date.now(), topics: kept, offsets, letters },
    schemas: await schemasIn(stack.registry.url),
    redis: await hashesIn(stack.redis.url),
    postgres: await statementsOf(stack.postgres.url),
  });
  say(`recorded ${release}; now it works off the rest`);
  const onward = await Session.open({ root, app: APP, env: stack.env, owner });
  await workOff(onward);
  writeAnswer(release, await answerOf(onward));
}
