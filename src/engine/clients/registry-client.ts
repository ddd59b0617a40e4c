// The HTTP client inside @kafkajs/confluent-schema-registry 4.1.0: its addresses, encoding and Basic auth, on Node's
// keep-alive agent, each request sent once. It answers with whatever the registry said; what that means is registry.ts's.
// The library's own SchemaRegistry class is left out: it hands out parsed schemas, and refuses every subject whose
// level is not exactly the given one.
import { Agent as HttpAgent, type ClientRequest } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import api, {
  type SchemaRegistryAPIClient,
  type SchemaRegistryAPIClientArgs,
} from "@kafkajs/confluent-schema-registry/dist/api/index.js";
import errors from "@kafkajs/confluent-schema-registry/dist/api/middleware/errorMiddleware.js";
import library from "@kafkajs/confluent-schema-registry/package.json" with { type: "json" };
import { MillraceError } from "../core/errors.ts";

type Middleware = NonNullable<SchemaRegistryAPIClientArgs["middlewares"]>[number];
interface BuiltClient {
  readonly _manifest?: { readonly middleware?: Middleware[] };
}

/** The answer of a registry. error() is why none came; null for every answer of a server, whatever its status. */
export interface RegistryAnswer {
  status(): number;
  /** The parsed JSON, or the text when it is none. */
  data(): unknown;
  error(): Error | null;
}

const testedVersion = "4.1.0";
/** A registry takes schemas of one megabyte, as Kafka takes records, and escapes them in its answer. */
const ANSWER_BYTES_MAX = 4_194_304;

/** Throws MILL_REGISTRY_CLIENT when the library is not the one that this was written for. */
export function registryClient(
  options: Pick<SchemaRegistryAPIClientArgs, "host" | "auth">,
): SchemaRegistryAPIClient {
  if (library.version !== testedVersion)
    throw new MillraceError(
      "MILL_REGISTRY_CLIENT",
      `expected version ${testedVersion}, found ${library.version}`,
    );
  const agent = new URL(options.host).protocol === "https:" ? boundedHttps() : boundedHttp();
  const client = api.default({ ...options, retry: { retries: 0 }, agent });
  correctErrors(client as BuiltClient);
  return client;
}

const boundedHttp = (): HttpAgent => bounded(new HttpAgent(agentOptions));
const boundedHttps = (): HttpsAgent => bounded(new HttpsAgent(agentOptions));
/** As Node's global agents. */
const agentOptions = { keepAlive: true, scheduling: "lifo", timeout: 5_000 } as const;

/** An option that every agent of Node is handed; its types leave it out. */
interface RequestTaker {
  addRequest(request: ClientRequest, ...rest: unknown[]): void;
}

/** Ends a request whose answer is larger than any schema, before its bytes are in memory. */
function bounded<A extends HttpAgent>(agent: A): A {
  const taker = agent as unknown as RequestTaker;
  const add = taker.addRequest.bind(agent);
  taker.addRequest = (request, ...rest) => {
    request.once("response", (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer | string) => {
        bytes += chunk.length;
        if (bytes <= ANSWER_BYTES_MAX) return;
        const most = String(ANSWER_BYTES_MAX);
        request.destroy(new Error(`its answer is larger than ${most} bytes`));
      });
    });
    add(request, ...rest);
  };
  return agent;
}

/**
 * The library's error middleware drops the registry's error_code, reports an outage as status 400, and never settles
 * when a refusal's body is the JSON null. Middleware that is handed to the library runs outside it and comes too late.
 */
function correctErrors({ _manifest: manifest }: BuiltClient): void {
  const list = manifest?.middleware ?? [];
  const at = list.indexOf(errors.default);
  if (at < 0)
    throw new MillraceError("MILL_REGISTRY_CLIENT", "its error middleware is not where it was");
  list[at] = everyAnswer;
}

/** The HTTP gateway rejects with the answer itself when its status is no success or when there was none. */
const everyAnswer: Middleware = () => ({
  response: (next) => next().catch((answer: Awaited<ReturnType<typeof next>>) => answer),
});
