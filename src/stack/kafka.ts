// Apache Kafka: one broker that is its own controller (KRaft), from the jars of pom.xml.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../engine/core/errors.ts";
import { fetched } from "./download.ts";
import { java } from "./java.ts";
import { askBroker } from "./kafka-probe.ts";
import { childEnv, type Env, type Launch, type Place, type Service } from "./service-names.ts";

const run = promisify(execFile);

export const kafka: Service = {
  name: "kafka",
  portCount: 2,
  stopSignal: "SIGTERM",
  retryOn: /Address already in use/,
  prepare,
  address: ({ ports }) => `127.0.0.1:${String(ports[0])}`,
  probe,
};

async function prepare(place: Place): Promise<Launch> {
  const { home, env } = place;
  const [command, libraries] = await Promise.all([java(env), fetched("kafka", place)]);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "server.properties"), serverProperties(place));
  writeFileSync(join(home, "log4j2.properties"), log4jProperties);
  const classPath = ["-cp", join(libraries, "*")];
  await format(place, command, classPath);
  const args = ["-Xms128m", "-Xmx512m", ...logOption(home), ...classPath];
  args.push("kafka.Kafka", join(home, "server.properties"));
  return { command, args, cwd: home, env: childEnv(env) };
}

/** Once: a file written last distinguishes a formatted folder from one whose formatting was cut short. */
async function format(place: Place, command: string, classPath: readonly string[]): Promise<void> {
  const { home, env } = place;
  const done = join(home, "formatted");
  if (existsSync(done)) return;
  rmSync(join(home, "data"), { recursive: true, force: true });
  // A Java that lives one second gains nothing from its best compiler.
  const args = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", ...logOption(home)];
  args.push(...classPath, "kafka.tools.StorageTool", "format", "-t", clusterId());
  args.push("-c", join(home, "server.properties"));
  await run(command, args, { env: { ...childEnv(env) } }).catch((cause: unknown) => {
    const { stderr = "", stdout = "" } = cause as { stderr?: string; stdout?: string };
    const why = (stderr || stdout).trim().split("\n")[0] ?? "";
    throw new MillraceError("MILL_STACK_FAILED", `Kafka's storage was not formatted: ${why}`, {
      cause,
    });
  });
  writeFileSync(done, "");
}

const logOption = (home: string): readonly string[] => [
  `-Dlog4j2.configurationFile=${join(home, "log4j2.properties")}`,
];

/** 16 random bytes in 22 letters. Kafka's tools would read one that begins with a dash as an option. */
const clusterId = (): string => `M${randomBytes(16).toString("base64url").slice(1, 22)}`;

/** The broker's settings: production's behaviour, small, and quick to join a group. */
export function serverProperties({ home, ports }: Pick<Place, "home" | "ports">): string {
  const [port, controllerPort] = ports.map(String);
  return properties({
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort ?? ""}`,
    listeners: `PLAINTEXT://127.0.0.1:${port ?? ""},CONTROLLER://127.0.0.1:${controllerPort ?? ""}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port ?? ""}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": join(home, "data"),
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "10",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "1000",
  });
}

const log4jProperties: string = properties({
  "appender.out.type": "Console",
  "appender.out.name": "out",
  "appender.out.layout.type": "PatternLayout",
  "appender.out.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
  "rootLogger.level": "warn",
  "rootLogger.appenderRef.out.ref": "out",
});

function properties(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return `${lines.join("\n")}\n`;
}

/** A broker behind TLS or a password cannot be asked without the user's client: an open port has to do. */
async function probe(address: string, env: Env): Promise<string> {
  const isPlain = (env["KAFKA_SECURITY_PROTOCOL"] ?? "PLAINTEXT") === "PLAINTEXT";
  const brokers = address.split(",").map((broker) => broker.trim());
  await Promise.any(brokers.map((broker) => askBroker(broker, isPlain)));
  return "";
}
