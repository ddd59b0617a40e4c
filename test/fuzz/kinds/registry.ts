// Answers of a schema registry over HTTP: schemas, references, refusals, redirections, what is too large, and what is no answer.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { SchemaRegistry } from "../../../src/engine/core/ports.ts";
import { schemaRegistry } from "../../../src/engine/clients/registry.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, type AnyKind, type Verdict } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The connection ends behind so many bytes. */
  readonly cut: number | null;
}

const schema = JSON.stringify({ type: "record", name: "R", fields: [{ name: "c", type: "Card" }] });
const card = JSON.stringify({
  type: "record",
  name: "Card",
  fields: [{ name: "no", type: "string" }],
});
const own = JSON.stringify({ type: "record", name: "R", fields: [{ name: "c", type: "int" }] });
const references = [{ name: "Card", subject: "card", version: 1 }];
const good: readonly (readonly [number, unknown])[] = [
  [200, { subject: "s", id: 1, version: 3, schema, references }],
  [200, { subject: "card", id: 2, version: 1, schema: card }],
  [200, { subject: "card", id: 2, version: 1, schema: card, references }],
  [200, { subject: "s", id: 3, version: 2, schema: own }],
  [200, { subject: "s", id: 4, version: 1, schemaType: "PROTOBUF", schema: 'syntax = "proto3";' }],
  [200, { compatibilityLevel: "NONE" }],
  [404, { error_code: 40401, message: "Subject not found" }],
  [409, { error_code: 409, message: "incompatible" }],
  [401, { error_code: 401, message: "no" }],
];
const STATUSES = [200, 201, 204, 301, 302, 304, 307, 400, 401, 403, 404, 409, 422, 429, 500, 503];
const LARGE = Buffer.alloc(5_000_000, 0x20);

function answerOf(draw: Draw, other: number): Answer {
  const [status, value] = draw.of(good);
  const bytes = draw.chance(0.4) ? Buffer.from(JSON.stringify(value)) : jsonBytes(draw, value);
  const body = draw.chance(0.1) ? mutated(draw, bytes) : bytes;
  const isLarge = draw.chance(0.01);
  return {
    status: draw.chance(0.15) ? draw.of(STATUSES) : status,
    headers: {
      "content-type": draw.of([
        "application/json",
        "application/vnd.schemaregistry.v1+json",
        "text/html",
      ]),
      ...(draw.chance(0.1) ? { location: `http://127.0.0.1:${String(other)}/stolen` } : {}),
    },
    body: isLarge ? Buffer.concat([body.subarray(0, 1), LARGE, body.subarray(1)]) : body,
    cut: draw.chance(0.01) ? draw.below(body.length + 1) : null,
  };
}

type Ask = (registry: SchemaRegistry) => Promise<unknown>;
const asks: readonly Ask[] = [
  (registry) => registry.schemaById(1),
  (registry) => registry.latest("s"),
  (registry) => registry.idOf("s", own),
  (registry) => registry.register("s", own),
];

interface Input {
  readonly ask: Ask;
  readonly answers: readonly Answer[];
}

/** Two servers: nobody may be sent to the second. */
class Servers {
  readonly #own: Server;
  readonly #other: Server;
  readonly #registry: Promise<SchemaRegistry>;
  #answers: readonly Answer[] = [];
  #asked = 0;
  stolen = 0;

  constructor() {
    this.#own = createServer((request, response) => {
      request.resume();
      const answer = this.#answers[this.#asked++ % this.#answers.length] as Answer;
      response.on("error", () => undefined);
      response.writeHead(answer.status, answer.headers);
      if (answer.cut === null) return response.end(answer.body);
      response.write(answer.body.subarray(0, answer.cut), () => response.destroy());
      return response;
    });
    this.#other = createServer((_, response) => {
      this.stolen++;
      response.end("{}");
    });
    this.#registry = this.#listen();
    for (const server of [this.#own, this.#other]) server.unref();
  }

  async #listen(): Promise<SchemaRegistry> {
    const ports = await Promise.all([this.#own, this.#other].map(portOf));
    return schemaRegistry({ url: `http://127.0.0.1:${String(ports[0])}/api`, deadlineMs: 250 });
  }

  async ask({ ask, answers }: Input): Promise<unknown> {
    this.#answers = answers;
    this.#asked = 0;
    const value = await ask(await this.#registry);
    must(this.#asked < 50, "it asks without end");
    return value;
  }

  get otherPort(): number {
    return (this.#other.address() as AddressInfo | null)?.port ?? 1;
  }

  close(): void {
    for (const server of [this.#own, this.#other]) {
      server.closeAllConnections();
      server.close();
    }
  }
}

const portOf = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

let servers: Servers | null = null;

export const registryKind: AnyKind = kindOf({
  ...{ name: "registry", weight: 2, costMs: 5 },
  codes: /^MILL_REGISTRY_(UNAVAILABLE|AUTH)$|^MILL_SCHEMA_(INVALID|INCOMPATIBLE)$/,
  make: (draw: Draw): Input => ({
    ask: draw.of(asks),
    answers: draw.list(1, 4, () => answerOf(draw, servers?.otherPort ?? 1)),
  }),
  async read(input: Input): Promise<Verdict> {
    servers ??= new Servers();
    const value = await servers.ask(input);
    must(servers.stolen === 0, "a redirection is followed");
    return value === null ? "refused" : "taken";
  },
  close() {
    servers?.close();
    servers = null;
    return Promise.resolve();
  },
});
