// The schema registry: Apicurio, through its Confluent-compatible interface, on an H2 file, so that a restart keeps every
// schema id.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../engine/core/errors.ts";
import { fetched } from "./download.ts";
import { java } from "./java.ts";
import { childEnv, type Env, type Launch, type Place, type Service } from "./service-names.ts";

export const registry: Service = {
  name: "registry",
  portCount: 1,
  stopSignal: "SIGTERM",
  retryOn: /Address already in use|already bound|Database may be already in use/,
  prepare,
  address: ({ ports }) => `http://127.0.0.1:${String(ports[0])}/apis/ccompat/v7`,
  probe,
};

async function prepare(place: Place): Promise<Launch> {
  const { home, env } = place;
  const [command, folder] = await Promise.all([java(env), fetched("registry", place)]);
  mkdirSync(home, { recursive: true });
  const jar = readdirSync(folder).find((name) => name.endsWith("-runner.jar"));
  if (jar === undefined) {
    throw new MillraceError("MILL_STACK_FAILED", `no runner in ${folder}; remove it and try again`);
  }
  const args = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-jar",
    join(folder, jar),
  ];
  return { command, args, cwd: home, env: childEnv(env, registrySettings(place)) };
}

/** H2 writes commits out half a second late by default: a registered id must not be lost with the process. */
export const registrySettings = ({ home, ports }: Pick<Place, "home" | "ports">): Env => ({
  REGISTRY_DATASOURCE_URL: `jdbc:h2:file:${join(home, "registry")};WRITE_DELAY=0`,
  QUARKUS_HTTP_HOST: "127.0.0.1",
  QUARKUS_HTTP_PORT: String(ports[0]),
  QUARKUS_LOG_LEVEL: "WARN",
  LOG_LEVEL: "WARN",
  REGISTRY_LOG_LEVEL: "WARN",
});

async function probe(given: string, env: Env): Promise<string> {
  const url = new URL(given);
  const user = env["SCHEMA_REGISTRY_USERNAME"] ?? decodeURIComponent(url.username);
  const password = env["SCHEMA_REGISTRY_PASSWORD"] ?? decodeURIComponent(url.password);
  // `fetch` refuses an address with a login, and quotes it.
  url.username = "";
  url.password = "";
  const address = url.href;
  const headers: Record<string, string> =
    user === ""
      ? {}
      : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
  const answer = await fetch(`${address.replace(/\/$/, "")}/subjects`, {
    headers,
    signal: AbortSignal.timeout(5_000),
  });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`status ${String(answer.status)}`);
  return "";
}
