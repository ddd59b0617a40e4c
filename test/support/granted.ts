// Servers that give nothing for nothing: a broker whose access lists are strict, a Redis and a Postgres with a user for each
// role. Rights are given by exactly what `millrace acls` prints: its commands are read here as a shell would read them.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import kafkajs, { type AclEntry, type Admin } from "kafkajs";
import { appCommand, appOf, type App, type Ended } from "./app.ts";
import { freshDatabase, type FreshDatabase } from "./fresh-database.ts";
import { startGuardedKafka, type GuardedKafka } from "./guarded-kafka.ts";
import { sharedStack, type StackEnv } from "./stack.ts";

const { Kafka, AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } =
  kafkajs;

export const ROLES = ["worker", "operator", "reader"] as const;
export type RoleName = (typeof ROLES)[number];
/** A database of the shared Redis that nobody else uses, so that SELECT is needed. */
const REDIS_DATABASE = "9";
const PASSWORD = randomBytes(12).toString("hex");
const ANY_HOST = "*";

/** One right, as a server takes it away. */
export interface Grant {
  readonly server: "kafka" | "redis" | "postgres";
  readonly user: string;
  /** "Read topic shop-" */
  readonly text: string;
  take(): Promise<void>;
  give(): Promise<void>;
}

export class GrantedServers {
  readonly name: string;
  readonly app: App;
  readonly kafka: GuardedKafka;
  readonly database: FreshDatabase;
  readonly #env: StackEnv;
  readonly #admin: Admin;
  readonly #redis: Redis;

  private constructor(parts: {
    readonly name: string;
    readonly kafka: GuardedKafka;
    readonly database: FreshDatabase;
    readonly env: StackEnv;
    readonly admin: Admin;
  }) {
    this.name = parts.name;
    this.kafka = parts.kafka;
    this.database = parts.database;
    this.#env = parts.env;
    this.#admin = parts.admin;
    this.app = appOf("totals", { TEST_TOPICS: parts.name });
    this.#redis = new Redis(parts.env.REDIS_URL);
  }

  static async open(): Promise<GrantedServers> {
    const name = `acl${randomBytes(4).toString("hex")}`;
    const env = await sharedStack();
    const kafka = await startGuardedKafka({
      users: ROLES.map((r) => `${name}_${r}`),
      isStrict: true,
    });
    const database = await freshDatabase();
    const admin = new Kafka({ brokers: [kafka.address], logLevel: 0 }).admin();
    await admin.connect();
    const servers = new GrantedServers({ name, kafka, database, env, admin });
    for (const role of ROLES)
      await database.query(`CREATE ROLE "${servers.user(role)}" LOGIN PASSWORD '${PASSWORD}'`);
    return servers;
  }

  async close(): Promise<void> {
    for (const role of ROLES) await this.#redis.call("ACL", "DELUSER", this.user(role));
    this.#redis.disconnect();
    await this.#admin.disconnect();
    await this.kafka.stop();
    const { url } = this.database;
    await this.database.drop();
    const others = await freshDatabase(url.replace(/\/[^/]*$/, "/postgres"));
    for (const role of ROLES) await others.query(`DROP ROLE IF EXISTS "${this.user(role)}"`);
    await others.drop();
  }

  user(role: RoleName): string {
    return `${this.name}_${role}`;
  }

  /** The settings of somebody who may do everything. */
  get everything(): Record<string, string> {
    const redis = `${this.#env.REDIS_URL.replace(/\/+$/, "")}/${REDIS_DATABASE}`;
    return {
      ...this.#env,
      KAFKA_BROKERS: this.kafka.address,
      DATABASE_URL: this.database.url,
      REDIS_URL: redis,
    };
  }

  envOf(role: RoleName): Record<string, string> {
    const as = (address: string): string => {
      const url = new URL(address);
      url.username = this.user(role);
      url.password = PASSWORD;
      return url.href;
    };
    const { REDIS_URL = "", DATABASE_URL = "", SCHEMA_REGISTRY_URL = "" } = this.everything;
    return {
      SCHEMA_REGISTRY_URL,
      ...this.kafka.envOf(this.user(role)),
      REDIS_URL: as(REDIS_URL),
      DATABASE_URL: as(DATABASE_URL),
    };
  }

  command(role: RoleName, ...argv: string[]): Promise<Ended> {
    return appCommand(this.app, argv, this.envOf(role));
  }

  /** The rights that `millrace acls` prints, one by one. */
  async printed(role: RoleName, server: Grant["server"], ...more: string[]): Promise<Grant[]> {
    const users = ROLES.flatMap((one) => [`--${one}`, this.user(one)]);
    const argv = ["acls", this.name, "--role", role, "--server", server, ...users, ...more];
    const { code, out } = await appCommand(this.app, argv, {});
    assert.equal(code, 0, out);
    const lines = out.split("\n").filter((line) => line !== "" && !/^(#|--)/.test(line));
    if (server === "kafka") return lines.flatMap((line) => this.#ofKafka(words(line)));
    if (server === "redis") return lines.flatMap((line) => this.#ofRedis(words(line), role));
    return lines.map((line) => this.#ofPostgres(line, role));
  }

  async give(role: RoleName, server: Grant["server"], ...more: string[]): Promise<Grant[]> {
    const grants = await this.printed(role, server, ...more);
    for (const grant of grants) await grant.give();
    return grants;
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  #ofKafka(argv: readonly string[]): Grant[] {
    const all = (option: string): string[] =>
      argv.flatMap((word, i) => (word === option ? [argv[i + 1] ?? ""] : []));
    const prefixed = all("--resource-pattern-type")[0] === "prefixed";
    const resources = { topic: "TOPIC", group: "GROUP", "transactional-id": "TRANSACTIONAL_ID" };
    return Object.entries(resources).flatMap(([option, type]) =>
      all(`--${option}`).flatMap((resourceName) =>
        all("--operation").map((operation): Grant => {
          const entry: AclEntry = {
            resourceType: AclResourceTypes[type as "TOPIC"],
            resourceName,
            resourcePatternType: ResourcePatternTypes[prefixed ? "PREFIXED" : "LITERAL"],
            principal: all("--allow-principal")[0] ?? "",
            host: ANY_HOST,
            operation: AclOperationTypes[operationName(operation)],
            permissionType: AclPermissionTypes.ALLOW,
          };
          return {
            server: "kafka",
            user: entry.principal.slice("User:".length),
            text: `${operation} ${option} ${resourceName}`,
            take: async () => void (await this.#admin.deleteAcls({ filters: [{ ...entry }] })),
            give: async () => void (await this.#admin.createAcls({ acl: [entry] })),
          };
        }),
      ),
    );
  }

  #ofRedis(argv: readonly string[], role: RoleName): Grant[] {
    const [, , , user = "", ...rules] = argv;
    assert.equal(user, this.user(role));
    const run = async (...given: string[]): Promise<void> =>
      void (await this.#redis.call("ACL", "SETUSER", user, ...given));
    const keys = rules.filter((rule) => rule.startsWith("~"));
    return rules.map((rule): Grant => ({
      server: "redis",
      user,
      text: rule,
      give: () => run(rule, `>${PASSWORD}`),
      // A pattern cannot be taken away alone.
      take: () =>
        rule.startsWith("~")
          ? run("resetkeys", ...keys.filter((key) => key !== rule))
          : run(rule === "on" ? "off" : rule.replace("+", "-")),
    }));
  }

  #ofPostgres(sql: string, role: RoleName): Grant {
    const run = async (text: string): Promise<void> => void (await this.database.query(text));
    return {
      server: "postgres",
      user: this.user(role),
      text: sql,
      give: () => run(sql),
      take: () => run(sql.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")),
    };
  }
}

/** `DescribeConfigs` → DESCRIBE_CONFIGS */
const operationName = (operation: string): keyof typeof AclOperationTypes =>
  operation.replace(/(?<=.)[A-Z]/g, "_$&").toUpperCase() as keyof typeof AclOperationTypes;

/** A line as a shell splits it. */
const words = (line: string): string[] =>
  Array.from(line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g), ([, single, double, bare]) =>
    String(single ?? double ?? bare),
  );
