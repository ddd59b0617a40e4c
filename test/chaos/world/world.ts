// One flow on the servers: its topics, tables and database, its workers, its traffic, and those who look on.
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { TaskProgress } from "../../../src/engine/core/progress.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp, type App } from "../../support/app.ts";
import { chaosApp, type ChaosApp } from "../../support/apps/chaos.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { Findings } from "../workload/findings.ts";
import { allFired } from "../workload/due.ts";
import { allTimed } from "../workload/timed.ts";
import { allClosed } from "../workload/windows.ts";
import { Traffic, type Rate } from "../workload/traffic.ts";
import { Watcher } from "../workload/watcher.ts";
import { Crew } from "./crew.ts";
import { withDatabase, type Servers } from "./servers.ts";

export const SESSION_MS = 3_000;
const WORKERS = 2;
const LOOK_MS = 150;
const RECOVERY_MS = 150_000;
const DRAINED_MS = 180_000;
/** A worker that eats memory should not eat all of the machine's. */
const HEAP = "--max-old-space-size=320";

/** After a fault: until every task has committed once, and until all that lay there is done. */
export interface Recovery {
  readonly firstCommitMs: number;
  readonly caughtUpMs: number;
}

export class World {
  readonly servers: Servers;
  readonly app: ChaosApp;
  readonly prefix: string;
  readonly database: FreshDatabase;
  readonly checking: AppFigures;
  readonly summing: AppFigures;
  readonly redis: Redis;
  readonly crew: Crew;
  readonly traffic: Traffic;
  readonly watcher: Watcher;
  /** Of those who look on while it runs. */
  readonly seen: Findings;
  /** A file here makes one worker stand still or die (apps/chaos.ts). */
  readonly troubleFolder: string;
  readonly #commands: App;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(parts: WorldParts) {
    const { servers, database } = parts;
    this.servers = servers;
    this.app = parts.app;
    this.prefix = parts.prefix;
    this.database = database;
    this.checking = parts.checking;
    this.summing = parts.summing;
    this.traffic = parts.traffic;
    this.troubleFolder = parts.troubleFolder;
    this.#commands = parts.commands;
    this.#env = parts.env;
    this.redis = new Redis(servers.direct.REDIS_URL);
    // Redis goes away on purpose, and comes back.
    this.redis.on("error", () => undefined);
    const DATABASE_URL = withDatabase(servers.proxied.DATABASE_URL, database.url);
    const env = {
      ...servers.proxied,
      DATABASE_URL,
      MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS),
    };
    const app = { ...parts.commands, execArgv: [HEAP, ...parts.commands.execArgv] };
    this.crew = new Crew(servers.home, { args: [], env, app }, WORKERS);
    this.seen = new Findings();
    const { clean, totals, fired, pairs, pauses } = this.app;
    const topics = {
      ...{ clean: clean.name, totals: totals.name, fired: fired.name },
      ...{ pairs: pairs.name, pauses: pauses.name },
    };
    this.watcher = new Watcher(this.checking.clients.kafka, topics, this.seen);
  }

  static async open(servers: Servers, rate: Rate): Promise<World> {
    const { home, stack, direct } = servers;
    const prefix = `t${randomBytes(3).toString("hex")}`;
    const database = await freshDatabase(stack.postgres.url);
    const env = { ...direct, DATABASE_URL: database.url };
    const troubleFolder = join(home.dir, prefix);
    mkdirSync(troubleFolder);
    const commands = appOf("chaos", { TEST_TOPICS: prefix, TEST_TROUBLE: troubleFolder });
    await applyApp(commands, env);
    const app = chaosApp(prefix);
    const checking = new AppFigures(app.checking.plan(), env);
    const summing = new AppFigures(app.summing.plan(), env);
    const traffic = await Traffic.start(app, checking, rate);
    const parts = { servers, app, prefix, database, checking, summing, traffic };
    const world = new World({ ...parts, troubleFolder, commands, env });
    home.after(() => world.close());
    return world;
  }

  /** One command of ours on this flow's servers, past the proxies. */
  get commands(): { readonly app: App; readonly env: Readonly<Record<string, string>> } {
    return { app: this.#commands, env: this.#env };
  }

  async progress(): Promise<TaskProgress[]> {
    return (await Promise.all([this.checking.progress(), this.summing.progress()])).flat();
  }

  /** How long it takes from that moment on until work goes on, and until nothing of then is left. */
  async recovery(sinceMs: number): Promise<Recovery> {
    const before = positions(await this.#patientProgress());
    const ends = await this.#ends([...before.keys()].map(topicOf));
    let firstCommitMs: number | null = null;
    return eventually(
      "every task goes on",
      async () => {
        await delay(LOOK_MS);
        const now = positions(await this.#patientProgress());
        const passedMs = Math.round(performance.now() - sinceMs);
        const all = [...now];
        const isDone = ([at, next]: readonly [string, bigint]): boolean =>
          next >= (ends.get(topicOf(at)) ?? 0n);
        if (all.every((one) => isDone(one) || one[1] > (before.get(one[0]) ?? -1n)))
          firstCommitMs ??= passedMs;
        if (!all.every(isDone)) return null;
        return { firstCommitMs: firstCommitMs ?? passedMs, caughtUpMs: passedMs };
      },
      RECOVERY_MS,
    );
  }

  /** How many due entries have fired since there were so many: at least one of them after this was asked. */
  async firedSince(count: number): Promise<number> {
    const { watcher } = this;
    const now = watcher.fired;
    await eventually("a due entry fires", () => (watcher.fired > now ? true : null), RECOVERY_MS);
    return watcher.fired - count;
  }

  /** Nobody looks on any more; safe to repeat. */
  async close(): Promise<void> {
    await this.traffic.feeder.stop();
    this.redis.disconnect();
    await Promise.all([this.checking.close(), this.summing.close()]);
  }

  /** Everything that was sent is decided by everybody. */
  async drained(): Promise<void> {
    await this.checking.drained(DRAINED_MS);
    await this.summing.drained(DRAINED_MS);
    // What came from the first while the second was looked at.
    await this.checking.drained(DRAINED_MS);
    await allFired(this);
    await allClosed(this);
    await allTimed(this);
  }

  /** A look may fall into a moment in which Kafka or Postgres is not there yet. */
  #patientProgress(): Promise<TaskProgress[]> {
    return eventually("progress can be read", () => this.progress().catch(() => null), RECOVERY_MS);
  }

  async #ends(places: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const topics = [...new Set(places.map((place) => place.slice(0, place.indexOf("/"))))];
    const marks = await Promise.all(topics.map((topic) => this.checking.admin.watermarks(topic)));
    return new Map(
      marks.flat().map(({ topic, partition, high }) => [`${topic}/${String(partition)}`, high]),
    );
  }
}

interface WorldParts {
  readonly servers: Servers;
  readonly app: ChaosApp;
  readonly prefix: string;
  readonly database: FreshDatabase;
  readonly checking: AppFigures;
  readonly summing: AppFigures;
  readonly traffic: Traffic;
  readonly troubleFolder: string;
  readonly commands: App;
  readonly env: Readonly<Record<string, string>>;
}

/** Next offsets by task. */
const positions = (progress: readonly TaskProgress[]): ReadonlyMap<string, bigint> =>
  new Map(
    progress.map(({ pipeline, part, topic, partition, nextOffset }) => [
      `${pipeline}.${part} ${topic}/${String(partition)}`,
      nextOffset ?? -1n,
    ]),
  );

const topicOf = (at: string): string => at.slice(at.indexOf(" ") + 1);
