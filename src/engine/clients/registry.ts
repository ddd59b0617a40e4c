// A schema registry with Confluent's HTTP interface, through fetch: Confluent's own, or Apicurio under /apis/ccompat/v7.
// Every answer is classified: "has none" only by the registry's own error code, refused credentials, a bad schema, and
// everything else (down, slow, 5xx, a proxy's page) as away, to be tried again. Nothing is cached here.
//
// @kafkajs/confluent-schema-registry is not used: it hands out parsed schemas without their logical types, has no
// time-out, reports an outage as status 400 and refuses every subject whose level is not exactly the given one.
import { incompatibilities } from "../core/avro-compatibility.ts";
import { parseAvro } from "../core/avro-parser.ts";
import type { AvroShape } from "../core/avro-shape.ts";
import { ConfigError, DependencyError, type MillraceError } from "../core/errors.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { AvroSchema } from "../core/schema.ts";

export interface RegistrySettings {
  /** With its path; credentials in it are taken out and sent as Basic auth. */
  readonly url: string;
  readonly username?: string | null;
  readonly password?: string | null;
  /** For each request, its body included. */
  readonly deadlineMs?: number;
}

export const schemaRegistry = (settings: RegistrySettings): SchemaRegistry =>
  new HttpRegistry(settings);

const DEADLINE_MS = 5_000;
const MEDIA_TYPE = "application/vnd.schemaregistry.v1+json";
/** Subject, version and schema not found. Any other 404 is a wrong address. */
const NOT_FOUND_CODES: readonly unknown[] = [40401, 40402, 40403];
/** Levels that a deliberate hand has set and that ask for at least what we ask for. */
const BACKWARD_LEVELS = ["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

type Body = Readonly<Record<string, unknown>>;
type Version = { readonly id: number; readonly version: number; readonly schema: string };

class HttpRegistry implements SchemaRegistry {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #deadlineMs: number;

  constructor({ url, username, password, deadlineMs = DEADLINE_MS }: RegistrySettings) {
    const address = new URL(url);
    const user = username ?? decodeURIComponent(address.username);
    const secret = password ?? decodeURIComponent(address.password);
    // fetch refuses addresses with credentials, and messages must not show them.
    address.username = "";
    address.password = "";
    this.#base = address.href.replace(/\/+$/, "");
    this.#deadlineMs = deadlineMs;
    const login = Buffer.from(`${user}:${secret}`, "utf8").toString("base64");
    this.#headers = {
      accept: `${MEDIA_TYPE}, application/json`,
      "content-type": MEDIA_TYPE,
      ...(user === "" ? {} : { authorization: `Basic ${login}` }),
    };
  }

  async schemaById(id: number): Promise<string | null> {
    const path = `/schemas/ids/${String(id)}`;
    const body = await this.#ask("GET", path);
    return body === null ? null : this.#text(body, "schema", path);
  }

  async idOf(subject: string, schema: string): Promise<number | null> {
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const body = await this.#ask("POST", path, { schema });
    return body === null ? null : this.#number(body, "id", path);
  }

  async latest(subject: string): Promise<Version | null> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`;
    const body = await this.#ask("GET", path);
    if (body === null) return null;
    return {
      id: this.#number(body, "id", path),
      version: this.#number(body, "version", path),
      schema: this.#text(body, "schema", path),
    };
  }

  async register(subject: string, schema: string): Promise<number> {
    const known = await this.idOf(subject, schema);
    if (known !== null) return known;
    // The registry names no field, and compares nothing at all where its level is NONE.
    const newest = await this.latest(subject);
    if (newest !== null) checkCompatible(subject, schema, newest.schema);
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const body = await this.#ask("POST", path, { schema });
    if (body === null) throw this.#away(path, "it answered 404");
    await this.#holdToBackward(subject);
    return this.#number(body, "id", path);
  }

  /** So that the next producer, whoever it is, is held to it too. A subject must exist to have a level. */
  async #holdToBackward(subject: string): Promise<void> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const level = (await this.#ask("GET", path))?.["compatibilityLevel"];
    if (typeof level === "string" && BACKWARD_LEVELS.includes(level)) return;
    // FORWARD was chosen by someone: ours has been checked all the same.
    if (level === undefined || level === "NONE")
      await this.#ask("PUT", path, { compatibility: "BACKWARD" });
  }

  /** The answer, or null when the registry says that it has none. */
  async #ask(method: string, path: string, body?: Body): Promise<Body | null> {
    const [status, text] = await this.#fetch(method, path, body);
    const answer = parsedBody(text);
    if (status >= 200 && status < 300 && answer !== null) return answer;
    const code = answer?.["error_code"];
    if (status === 404 && NOT_FOUND_CODES.includes(code)) return null;
    throw this.#refusal(status, path, answer);
  }

  async #fetch(method: string, path: string, body?: Body): Promise<[number, string]> {
    try {
      const response = await fetch(this.#base + path, {
        method,
        headers: this.#headers,
        signal: AbortSignal.timeout(this.#deadlineMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return [response.status, await response.text()];
    } catch (error) {
      throw this.#away(path, reasonOf(error, this.#deadlineMs), error);
    }
  }

  #refusal(status: number, path: string, answer: Body | null): MillraceError {
    const said = typeof answer?.["message"] === "string" ? `: ${answer["message"]}` : "";
    const detail = `${this.#base}${path} answered ${String(status)}${said}`;
    if (status === 401 || status === 403) return new DependencyError("MILL_REGISTRY_AUTH", detail);
    if (status === 409) return new ConfigError("MILL_SCHEMA_INCOMPATIBLE", detail);
    if (status === 422) return new ConfigError("MILL_SCHEMA_INVALID", detail);
    const hint = status === 404 ? "; check the path in SCHEMA_REGISTRY_URL" : "";
    return this.#away(path, `it answered ${String(status)}${hint}`);
  }

  #away(path: string, reason: string, cause?: unknown): DependencyError {
    return new DependencyError("MILL_REGISTRY_UNAVAILABLE", `${this.#base}${path}: ${reason}`, {
      cause,
    });
  }

  #text(body: Body, name: string, path: string): string {
    const value = body[name];
    if (typeof value === "string") return value;
    throw this.#away(path, `its answer has no ${name}`);
  }

  #number(body: Body, name: string, path: string): number {
    const value = body[name];
    if (typeof value === "number") return value;
    throw this.#away(path, `its answer has no ${name}`);
  }
}

/** Null for what is no JSON object: a proxy's page, say. */
function parsedBody(text: string): Body | null {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as Body) : null;
  } catch {
    return null;
  }
}

function reasonOf(error: unknown, deadlineMs: number): string {
  if (!(error instanceof Error)) return "it did not answer";
  if (error.name === "TimeoutError") return `no answer within ${String(deadlineMs)} ms`;
  // fetch says only "fetch failed"; the cause has the system's code.
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : error.message;
}

function checkCompatible(subject: string, schema: string, registered: string): void {
  const problems = incompatibilities(shapeOf(schema), shapeOf(registered));
  if (problems.length > 0)
    throw new ConfigError("MILL_SCHEMA_INCOMPATIBLE", `${subject}: ${problems.join("; ")}`);
}
const shapeOf = (schema: string): AvroShape => parseAvro(JSON.parse(schema) as AvroSchema);
