// Docker cannot be run everywhere these tests are; so the files that it reads are parsed, and what matters is asserted.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { composeEnv } from "../../src/stack/docker.ts";
import { serverProperties } from "../../src/stack/kafka.ts";

interface Container {
  readonly image: string;
  readonly ports: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly extra_hosts?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Container>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const compose = parse(read("docker-compose.yml")) as Compose;
const containers = Object.entries(compose.services);
const containerOf = (name: string): Container => {
  const found = compose.services[name];
  assert.ok(found, name);
  return found;
};

test("compose has the four servers, and Prometheus and Grafana to watch them", () => {
  assert.deepEqual(
    containers.map(([name]) => name),
    ["kafka", "registry", "redis", "postgres", "prometheus", "grafana"],
  );
});

test("every image has a full version and a digest, every container a health check", () => {
  for (const [name, { image, healthcheck }] of containers) {
    assert.match(image, /:v?\d+\.\d+/, name);
    assert.match(image, /@sha256:[0-9a-f]{64}$/, name);
    assert.ok((healthcheck?.test.length ?? 0) > 1, name);
  }
});

test("ports are published on the loopback only", () => {
  for (const [name, { ports }] of containers) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
  }
});

test("`up --docker` writes the addresses that compose publishes", () => {
  const published = (name: string): string => {
    const [host = "", port = ""] = (containerOf(name).ports[0] ?? "").split(":");
    return `${host}:${port}`;
  };
  assert.equal(composeEnv["KAFKA_BROKERS"], published("kafka"));
  const { REDISCLI_AUTH: secret = "" } = containerOf("redis").environment ?? {};
  assert.equal(composeEnv["REDIS_URL"], `redis://:${secret}@${published("redis")}`);
  assert.match(
    containerOf("redis").command ?? "",
    new RegExp(` >${secret} .*-config -module -debug`),
  );
  assert.equal(
    composeEnv["SCHEMA_REGISTRY_URL"],
    `http://${published("registry")}/apis/ccompat/v7`,
  );
  const { POSTGRES_USER: user = "", POSTGRES_PASSWORD: password = "" } =
    containerOf("postgres").environment ?? {};
  assert.equal(
    composeEnv["DATABASE_URL"],
    `postgres://${user}:${password}@${published("postgres")}/millrace`,
  );
});

test("data lives in named volumes, and what is mounted from here exists and is read-only", () => {
  for (const [name, { volumes = [] }] of containers) {
    for (const volume of volumes) {
      const [source = "", , mode] = volume.split(":");
      if (!source.startsWith("./")) assert.ok(Object.hasOwn(compose.volumes, source), source);
      else {
        assert.equal(mode, "ro", name);
        assert.ok(existsSync(new URL(source, root)), source);
      }
    }
  }
  for (const name of ["kafka", "redis", "postgres"]) {
    assert.ok(
      containerOf(name).volumes?.some((volume) => volume.startsWith(`${name}:/`)),
      name,
    );
  }
});

test("Kafka has the settings of the stack without Docker", () => {
  const environment = containerOf("kafka").environment ?? {};
  const shared = serverProperties({ home: "", ports: [1, 2] })
    .trim()
    .split("\n")
    .map((line) => line.split("="))
    .filter(([name = ""]) => !/listener|quorum|log\.dirs/.test(name));
  assert.ok(shared.length > 10);
  for (const [name = "", value] of shared) {
    assert.equal(environment[`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`], value, name);
  }
});

test("Redis keeps its data and evicts none; the registry keeps its ids in Postgres", () => {
  const command = containerOf("redis").command ?? "";
  assert.match(command, /--appendonly yes/);
  assert.match(command, /--maxmemory-policy noeviction/);
  const registry = containerOf("registry");
  assert.equal(registry.environment?.["APICURIO_STORAGE_KIND"], "sql");
  const url = registry.environment?.["APICURIO_DATASOURCE_URL"] ?? "";
  const database = url.split("/").at(-1) ?? "";
  assert.match(
    read("k8s/compose/postgres/registry.sql"),
    new RegExp(`CREATE DATABASE ${database};`),
  );
});

test("Prometheus scrapes the worker on this machine", () => {
  const settings = parse(read("k8s/compose/prometheus/prometheus.yml")) as {
    readonly scrape_configs: readonly { static_configs: readonly { targets: string[] }[] }[];
  };
  const targets = settings.scrape_configs.flatMap((job) => job.static_configs[0]?.targets ?? []);
  assert.deepEqual(targets, ["host.docker.internal:9464"]);
  assert.deepEqual(containerOf("prometheus").extra_hosts, ["host.docker.internal:host-gateway"]);
});

test("Grafana has Prometheus as its source and the dashboards of k8s/dashboards", () => {
  const sources = parse(read("k8s/compose/grafana/datasources/prometheus.yaml")) as {
    readonly datasources: readonly { readonly type: string; readonly url: string }[];
  };
  assert.equal(sources.datasources[0]?.type, "prometheus");
  assert.equal(sources.datasources[0].url, "http://prometheus:9090");
  const boards = parse(read("k8s/compose/grafana/dashboards/millrace.yaml")) as {
    readonly providers: readonly { readonly options: { readonly path: string } }[];
  };
  const path = boards.providers[0]?.options.path ?? "none";
  assert.ok(containerOf("grafana").volumes?.includes(`./k8s/dashboards:${path}:ro`));
});

/** Instructions of the Dockerfile, continued lines joined. */
const instructions = read("Dockerfile")
  .replaceAll(/\\\n\s*/g, "")
  .split("\n")
  .filter((line) => /^[A-Z]/.test(line));
const last = (word: string): string =>
  instructions.findLast((line) => line.startsWith(`${word} `)) ?? "";

test("the image is pinned, has no dev dependencies, and runs as another user than root", () => {
  for (const from of instructions.filter((line) => line.startsWith("FROM "))) {
    assert.match(from, /^FROM node:24\.\d+\.\d+-slim@sha256:[0-9a-f]{64}( AS packages)?$/);
  }
  assert.ok(instructions.includes("RUN npm ci --omit=dev"));
  assert.ok(instructions.includes("RUN node src/cli/sbom.ts > sbom.json"));
  assert.ok(instructions.includes("COPY --from=packages /app/sbom.json sbom.json"));
  assert.match(last("USER"), /^USER [1-9]\d*/);
  assert.equal(last("ENTRYPOINT"), 'ENTRYPOINT ["node", "bin/millrace.js"]');
  assert.match(last("HEALTHCHECK"), /\/live/);
  assert.match(last("ENV"), /MILLRACE_HTTP_HOST=0\.0\.0\.0/);
});

test("the image holds what it copies and nothing else: no local stack, no packages of this machine", () => {
  const [first, ...kept] = read(".dockerignore")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(first, "*");
  const copied = instructions
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
    .flatMap((line) => line.split(" ").slice(1, -1));
  assert.deepEqual(kept.toSorted(), [...new Set(copied.map((path) => `!${path}`))].toSorted());
  for (const path of copied) assert.ok(existsSync(new URL(path, root)), path);
});
