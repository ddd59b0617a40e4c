// A broker with access lists of its own, for one test file: whoever comes without a password may do anything, a user with one
// what the lists leave him: all that they do not forbid, or, where it is strict, nothing that they do not give.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheOf, fetched } from "../../src/stack/download.ts";
import { java } from "../../src/stack/java.ts";
import { askBroker } from "../../src/stack/kafka-probe.ts";
import { serverProperties } from "../../src/stack/kafka.ts";
import { choosePorts } from "../../src/stack/port.ts";
import { end, launch } from "../../src/stack/process.ts";
import { childEnv } from "../../src/stack/service-names.ts";
import { eventually } from "./eventually.ts";

export interface GuardedKafka {
  /** For somebody who may do everything. */
  readonly address: string;
  /** Settings of the user "worker". */
  readonly workerEnv: Readonly<Record<string, string>>;
  /** Settings of a user. */
  envOf(user: string): Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const READY_MS = 120_000;
const PASSWORD = randomBytes(12).toString("hex");

interface Guard {
  readonly users?: readonly string[];
  readonly isStrict?: boolean;
}

export async function startGuardedKafka({
  users = ["worker"],
  isStrict = false,
}: Guard = {}): Promise<GuardedKafka> {
  const home = mkdtempSync(join(tmpdir(), "millrace-guarded-"));
  const ports = await choosePorts(3);
  const [open, controller, guarded] = ports.map((port) => `127.0.0.1:${String(port)}`) as [
    string,
    string,
    string,
  ];
  const settings = join(home, "server.properties");
  const more = Object.entries({
    listeners: `PLAINTEXT://${open},CONTROLLER://${controller},SASL_PLAINTEXT://${guarded}`,
    "advertised.listeners": `PLAINTEXT://${open},SASL_PLAINTEXT://${guarded}`,
    "listener.security.protocol.map":
      "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.map((user) => `user_${user}="${PASSWORD}"`).join(" ")};`,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": String(!isStrict),
  }).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(settings, serverProperties({ home, ports }) + more.join(""));
  const place = { cache: cacheOf(process.env), env: process.env, say: () => undefined };
  const [command, libraries] = await Promise.all([java(process.env), fetched("kafka", place)]);
  const classPath = ["-cp", join(libraries, "*")];
  const format = ["kafka.tools.StorageTool", "format", "-t", "M0guardguardguardguard"];
  const env = childEnv(process.env);
  await promisify(execFile)(
    command,
    ["-Xmx128m", "-XX:TieredStopAtLevel=1", ...classPath, ...format, "-c", settings],
    { env },
  );
  const args = ["-Xms96m", "-Xmx384m", ...classPath, "kafka.Kafka", settings];
  const broker = await launch({ command, args, cwd: home, env }, join(home, "server.log"));
  const stop = async (): Promise<void> => {
    await end(broker, "SIGKILL", 10_000);
    rmSync(home, { recursive: true, force: true });
  };
  process.once("exit", () => {
    try {
      process.kill(broker.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  });
  const answers = (): Promise<true | null> =>
    askBroker(open, true).then(
      () => true,
      () => null,
    );
  await eventually("the guarded broker answers", answers, READY_MS);
  const envOf = (user: string): Readonly<Record<string, string>> => ({
    KAFKA_BROKERS: guarded,
    KAFKA_SECURITY_PROTOCOL: "SASL_PLAINTEXT",
    KAFKA_SASL_MECHANISM: "PLAIN",
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD: PASSWORD,
  });
  return { address: open, workerEnv: envOf("worker"), envOf, stop };
}
