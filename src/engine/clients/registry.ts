// A schema registry with Confluent's HTTP interface: Confluent's own, or Apicurio under /apis/ccompat/v7.
// Every answer is classified: "has none" only by the registry's own error code, refused credentials, a bad schema, and
// everything else (down, slow, 5xx, a proxy's page) as away, to be tried again by the caller. Schemas come as text, so
// that their logical types are kept. Nothing is cached here.
import { checkCompatible } from "../core/avro-compatibility.ts";
import { ConfigError, DependencyError, type MillraceError } from "../core/errors.ts";
import { shownAddress, withoutLogins } from "../core/shown-address.ts";
import type { RegisteredSchema, SchemaRegistry } from "../core/ports.ts";
import { withoutTrailing } from "../core/trailing.ts";
import { registryClient, type RegistryAnswer } from "./registry-client.ts";
import { selfContained, type RegistryBody } from "./registry-references.ts";

export interface RegistrySettings {
  /** With its path; credentials in it are taken out and sent as Basic auth. */
  readonly url: string;
  readonly username?: string | null;
  readonly password?: string | null;
  /** For each request, its body included. */
  readonly deadlineMs?: number;
}

export const schemaRegistry = (settings: RegistrySettings): SchemaRegistry =>
  new ConfluentRegistry(settings);

const DEADLINE_MS = 5_000;
/** Subject, version and schema not found. Any other 404 is a wrong address. */
const NOT_FOUND_CODES: readonly unknown[] = [40401, 40402, 40403];
/** Levels that a deliberate hand has set and that ask for at least what we ask for. */
const BACKWARD_LEVELS = ["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

type RegistryRight = "read" | "write";
interface Refused {
  readonly status: number;
  readonly path: string;
  readonly right: RegistryRight;
}

type Request = (signal: AbortSignal) => Promise<RegistryAnswer>;

class ConfluentRegistry implements SchemaRegistry {
  /** For messages. */
  readonly #base: string;
  readonly #client: ReturnType<typeof registryClient>;
  readonly #deadlineMs: number;

  constructor({ url, username, password, deadlineMs = DEADLINE_MS }: RegistrySettings) {
    const address = new URL(url);
    const user = username ?? decodeURIComponent(address.username);
    const secret = password ?? decodeURIComponent(address.password);
    address.username = "";
    address.password = "";
    const host = withoutTrailing(address.href, "/");
    this.#base = shownAddress(host);
    this.#client = registryClient({
      host,
      ...(user === "" ? {} : { auth: { username: user, password: secret } }),
    });
    this.#deadlineMs = deadlineMs;
  }

  async schemaById(id: number): Promise<string | null> {
    const path = `/schemas/ids/${String(id)}`;
    const body = await this.#ask(path, (signal) => this.#client.Schema.find({ id, signal }));
    return body === null ? null : this.#schema(body, path);
  }

  /** The schema of an answer, with the types that it takes from other subjects. */
  #schema(body: RegistryBody, path: string): Promise<string> {
    const text = body["schema"];
    if (typeof text !== "string") throw this.#away(path, "its answer has no schema");
    return selfContained(text, body, (subject, version) => {
      const at = `/subjects/${encodeURIComponent(subject)}/versions/${String(version)}`;
      return this.#ask(at, (signal) => this.#client.Subject.version({ subject, version, signal }));
    });
  }

  async idOf(subject: string, schema: string): Promise<number | null> {
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const body = await this.#ask(path, (signal) =>
      this.#client.Subject.registered({ subject, body: { schema }, signal }),
    );
    return body === null ? null : this.#number(body, "id", path);
  }

  async latest(subject: string): Promise<RegisteredSchema | null> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`;
    const body = await this.#ask(path, (signal) =>
      this.#client.Subject.latestVersion({ subject, signal }),
    );
    if (body === null) return null;
    return {
      id: this.#number(body, "id", path),
      version: this.#number(body, "version", path),
      schema: await this.#schema(body, path),
    };
  }

  async register(subject: string, schema: string): Promise<number> {
    const known = await this.idOf(subject, schema);
    if (known !== null) return known;
    // The registry names no field, and compares nothing at all where its level is NONE.
    const newest = await this.latest(subject);
    if (newest !== null) checkCompatible(subject, schema, newest.schema);
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const body = await this.#ask(
      path,
      (signal) => this.#client.Subject.register({ subject, body: { schema }, signal }),
      "write",
    );
    if (body === null) throw this.#away(path, "it answered 404");
    await this.#requireBackward(subject);
    return this.#number(body, "id", path);
  }

  /** So that the next producer, whoever it is, must keep it too. A subject must exist to have a level. */
  async #requireBackward(subject: string): Promise<void> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const config = await this.#ask(path, (signal) =>
      this.#client.Subject.config({ subject, signal }),
    );
    const level = config?.["compatibilityLevel"];
    if (typeof level === "string" && BACKWARD_LEVELS.includes(level)) return;
    // FORWARD was chosen by someone: ours has been checked all the same.
    if (level !== undefined && level !== "NONE") return;
    const body = { compatibility: "BACKWARD" };
    await this.#ask(
      path,
      (signal) => this.#client.Subject.updateConfig({ subject, body, signal }),
      "write",
    );
  }

  /** The answer, or null when the registry says that it has none. */
  async #ask(
    path: string,
    request: Request,
    right: RegistryRight = "read",
  ): Promise<RegistryBody | null> {
    const [status, answer] = await this.#send(path, request);
    if (status >= 200 && status < 300 && answer !== null) return answer;
    const code = answer?.["error_code"];
    if (status === 404 && NOT_FOUND_CODES.includes(code)) return null;
    throw this.#refusal({ status, path, right }, answer);
  }

  async #send(path: string, request: Request): Promise<[number, RegistryBody | null]> {
    try {
      const answer = await withinDeadline(request, this.#deadlineMs);
      const failure = answer.error();
      if (failure !== null) throw failure;
      return [answer.status(), objectOf(answer.data())];
    } catch (error) {
      throw this.#away(path, reasonOf(error), error);
    }
  }

  #refusal({ status, path, right }: Refused, answer: RegistryBody | null): MillraceError {
    const said = typeof answer?.["message"] === "string" ? `: ${answer["message"]}` : "";
    const detail = `${this.#base}${path} answered ${String(status)}${said}`;
    if (status === 401 || status === 403)
      return new DependencyError("MILL_REGISTRY_AUTH", `${detail} (${rightFor(path, right)})`);
    if (status === 409) return new ConfigError("MILL_SCHEMA_INCOMPATIBLE", detail);
    if (status === 422) return new ConfigError("MILL_SCHEMA_INVALID", detail);
    return this.#away(path, `it answered ${String(status)}${hintOf(status)}`);
  }

  #away(path: string, reason: string, cause?: unknown): DependencyError {
    return new DependencyError("MILL_REGISTRY_UNAVAILABLE", `${this.#base}${path}: ${reason}`, {
      cause,
    });
  }

  #number(body: RegistryBody, name: string, path: string): number {
    const value = body[name];
    if (typeof value === "number") return value;
    throw this.#away(path, `its answer has no ${name}`);
  }
}

/** The subject or id that the account may not read or write. */
function rightFor(path: string, right: RegistryRight): string {
  const [, , name = ""] = path.split("/");
  const what = path.startsWith("/schemas/")
    ? `the schema ${path.split("/").at(-1) ?? ""}`
    : `the ${path.startsWith("/config/") ? "compatibility of the " : ""}subject ${decodeURIComponent(name)}`;
  return `the user needs the right to ${right} ${what}`;
}

/**
 * The client has no time-out for a whole answer, and never settles when the connection ends inside one. The timer keeps
 * the process running until then, and no longer.
 */
async function withinDeadline(request: Request, deadlineMs: number): Promise<RegistryAnswer> {
  const { promise: expiry, reject } = Promise.withResolvers<never>();
  const teardown = new AbortController();
  const timer = setTimeout(() => {
    reject(new Error(`no answer within ${String(deadlineMs)} ms`));
    teardown.abort();
  }, deadlineMs);
  try {
    return await Promise.race([request(teardown.signal), expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** Null for what is no JSON object: a proxy's page, say. */
const objectOf = (data: unknown): RegistryBody | null =>
  typeof data === "object" && data !== null ? (data as RegistryBody) : null;

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "it did not answer";
  // The system's code: where "localhost" has two addresses, the message is empty.
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : withoutLogins(error.message);
}

function hintOf(status: number): string {
  if (status === 404) return "; check the path in SCHEMA_REGISTRY_URL";
  if (status >= 300 && status < 400) return "; SCHEMA_REGISTRY_URL must be where that leads to";
  return "";
}
