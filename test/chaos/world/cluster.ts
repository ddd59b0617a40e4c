// One broker, or three that keep each other's copies, of the local stack's Kafka. Each has two listeners: one for whoever
// looks on, and one for workers, whose advertised address is a proxy that can misbehave.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { fetched, cacheOf } from "../../../src/stack/download.ts";
import { java } from "../../../src/stack/java.ts";
import { askBroker } from "../../../src/stack/kafka-probe.ts";
import { serverProperties } from "../../../src/stack/kafka.ts";
import { choosePorts } from "../../../src/stack/port.ts";
import { end, isRunning, launch, type ProcessId } from "../../../src/stack/process.ts";
import { childEnv } from "../../../src/stack/service-names.ts";
import { eventually } from "../../support/eventually.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import type { Home } from "./home.ts";

const READY_MS = 300_000;
const GRACE_MS = 30_000;
const CLUSTER_ID = "M0chaoschaoschaoschaos";

interface Broker {
  readonly id: number;
  readonly home: string;
  /** For onlookers, the controller, workers. */
  readonly ports: readonly number[];
  readonly proxy: FaultProxy;
  process: ProcessId | null;
}

export class Cluster {
  readonly #home: Home;
  readonly #brokers: readonly Broker[];
  readonly #still = new Set<number>();
  #java = "";
  #libraries = "";

  private constructor(home: Home, brokers: readonly Broker[]) {
    this.#home = home;
    this.#brokers = brokers;
  }

  static async start(home: Home, size: 1 | 3): Promise<Cluster> {
    const brokers: Broker[] = [];
    for (let id = 1; id <= size; id++) {
      const ports = await choosePorts(3);
      const proxy = await FaultProxy.start({ host: "127.0.0.1", port: ports[2] ?? 0 });
      brokers.push({
        id,
        home: join(home.dir, `kafka-${String(id)}`),
        ports,
        proxy,
        process: null,
      });
    }
    const cluster = new Cluster(home, brokers);
    home.after(async () => {
      await Promise.all(cluster.ids.map((id) => cluster.stop(id, "SIGKILL")));
      await Promise.all(cluster.proxies.map((proxy) => proxy.close()));
    });
    await cluster.#prepare();
    await Promise.all(cluster.ids.map((id) => cluster.start(id)));
    return cluster;
  }

  get ids(): readonly number[] {
    return this.#brokers.map(({ id }) => id);
  }
  get proxies(): readonly FaultProxy[] {
    return this.#brokers.map(({ proxy }) => proxy);
  }
  /** Addresses past the proxies, of all. */
  get addresses(): string {
    return this.#brokers.map(addressOf).join(",");
  }
  /** The same of those that do not stand still. */
  get awake(): readonly string[] {
    return this.#brokers.filter(({ id }) => !this.#still.has(id)).map(addressOf);
  }
  /** Addresses for workers. */
  get proxied(): string {
    return this.#brokers.map(({ proxy }) => `127.0.0.1:${String(proxy.port)}`).join(",");
  }

  async start(id: number): Promise<void> {
    const broker = this.#broker(id);
    const { home, ports } = broker;
    const args = ["-Xms96m", "-Xmx384m", ...log4j(home), "-cp", join(this.#libraries, "*")];
    args.push("kafka.Kafka", join(home, "server.properties"));
    const log = join(home, "server.log");
    const what = { command: this.#java, args, cwd: home, env: childEnv(process.env) };
    await eventually(
      `broker ${String(id)} answers`,
      async () => {
        // An early death is tried again: a port may not be free yet after a kill.
        if (broker.process === null || !isRunning(broker.process)) {
          broker.process = await launch(what, log);
          this.#home.keep(broker.process);
          this.#home.listen(`kafka-${String(id)}`, () => readFileSync(log, "utf8"));
        }
        const answers = askBroker(`127.0.0.1:${String(ports[0])}`, true);
        return (await answers.then(() => true).catch(() => null)) ?? null;
      },
      READY_MS,
    );
  }

  /** Returns when it is gone. */
  async stop(id: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const broker = this.#broker(id);
    if (broker.process === null) return;
    // A process that stands still hears of SIGTERM only when it goes on.
    if (signal === "SIGTERM") this.signal(id, "SIGCONT");
    await end(broker.process, signal, GRACE_MS);
    broker.process = null;
  }

  signal(id: number, signal: "SIGSTOP" | "SIGCONT"): void {
    const { process: broker } = this.#broker(id);
    if (broker === null || !isRunning(broker)) return;
    process.kill(broker.pid, signal);
    if (signal === "SIGSTOP") this.#still.add(id);
    else this.#still.delete(id);
  }

  /** When each broker's process began: a restart of ours would show. */
  get starts(): readonly string[] {
    return this.#brokers.map((broker) => String(broker.process?.startedAt));
  }

  #broker(id: number): Broker {
    const broker = this.#brokers.find((one) => one.id === id);
    if (broker === undefined) throw new Error(`no broker ${String(id)}`);
    return broker;
  }

  async #prepare(): Promise<void> {
    const place = { cache: cacheOf(process.env), env: process.env, say: () => undefined };
    [this.#java, this.#libraries] = await Promise.all([java(process.env), fetched("kafka", place)]);
    await Promise.all(this.#brokers.map((broker) => this.#format(broker)));
  }

  async #format(broker: Broker): Promise<void> {
    const { home, ports } = broker;
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "log4j2.properties"), LOG4J);
    writeFileSync(
      join(home, "server.properties"),
      serverProperties({ home, ports }) + this.#more(broker),
    );
    const args = ["-Xmx128m", "-XX:TieredStopAtLevel=1", ...log4j(home)];
    args.push("-cp", join(this.#libraries, "*"), "kafka.tools.StorageTool", "format");
    args.push("-t", CLUSTER_ID, "-c", join(home, "server.properties"));
    await promisify(execFile)(this.#java, args, { env: { ...childEnv(process.env) } });
  }

  /** Later lines win over the stack's own. */
  #more({ id, ports, proxy }: Broker): string {
    const [onlookers, controller, workers] = ports.map((port) => `127.0.0.1:${String(port)}`);
    const voters = this.#brokers.map(
      (one) => `${String(one.id)}@127.0.0.1:${String(one.ports[1])}`,
    );
    const copies = String(this.#brokers.length);
    const inSync = this.#brokers.length === 1 ? "1" : "2";
    return Object.entries({
      "node.id": String(id),
      "controller.quorum.voters": voters.join(","),
      listeners: `PLAINTEXT://${onlookers ?? ""},CONTROLLER://${controller ?? ""},WORKERS://${workers ?? ""}`,
      "advertised.listeners": `PLAINTEXT://${onlookers ?? ""},WORKERS://127.0.0.1:${String(proxy.port)}`,
      "listener.security.protocol.map":
        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,WORKERS:PLAINTEXT",
      "default.replication.factor": copies,
      "min.insync.replicas": inSync,
      "offsets.topic.replication.factor": copies,
      "transaction.state.log.replication.factor": copies,
      "transaction.state.log.min.isr": inSync,
      "share.coordinator.state.topic.replication.factor": copies,
      "share.coordinator.state.topic.min.isr": inSync,
      "replica.lag.time.max.ms": "10000",
      "log.retention.check.interval.ms": "1000",
      "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
  }
}

const addressOf = ({ ports }: Broker): string => `127.0.0.1:${String(ports[0])}`;

const log4j = (home: string): readonly string[] => [
  `-Dlog4j2.configurationFile=${join(home, "log4j2.properties")}`,
];

const LOG4J = `appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`;
