// The HTTP client inside @kafkajs/confluent-schema-registry 4.1.0: its addresses, encoding and Basic auth, on Node's
// keep-alive agent, each request sent once. It answers with whatever the registry said; what that means is registry.ts's.
// The library's own SchemaRegistry class is left out: it hands out parsed schemas, and refuses every subject whose
// level is not exactly the given one.
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

/** Throws MILL_REGISTRY_CLIENT when the library is not the one that this was written for. */
export function registryClient(
  options: Pick<SchemaRegistryAPIClientArgs, "host" | "auth">,
): SchemaRegistryAPIClient {
  if (library.version !== testedVersion)
    throw new MillraceError(
      "MILL_REGISTRY_CLIENT",
      `expected version ${testedVersion}, found ${library.version}`,
    );
  const client = api.default({ ...options, retry: { retries: 0 } });
  correctErrors(client as BuiltClient);
  return client;
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
