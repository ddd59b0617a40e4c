// Schemas as values: avro() (written by `millrace schemas generate`), json(), string, bytes, long, nullable().
// Making one checks next to nothing: building a pipeline and compiling a codec do, and report everything at once.
import { ConfigError, DecodeError } from "../core/errors.ts";
import type { AvroSchema, JsonValidator, Schema, SchemaFormat } from "../core/schema.ts";

const schemaOf = <T>(format: SchemaFormat): Schema<T> =>
  Object.freeze({ format: Object.freeze(format), reads: {}, writes: {} });

/** An Avro schema; T is what `millrace schemas generate` made of the same file. */
export function avro<T>(definition: AvroSchema): Schema<T> {
  return schemaOf({ kind: "avro", name: fullNameOf(definition), schema: definition });
}

function fullNameOf(definition: AvroSchema): string {
  if (typeof definition === "string") return definition;
  if (!("name" in definition) || typeof definition.name !== "string") return "unnamed";
  const { name, namespace } = definition as { name: string; namespace?: unknown };
  const isInherited = typeof namespace === "string" && namespace !== "" && !name.includes(".");
  return isInherited ? `${namespace}.${name}` : name;
}

/**
 * Any validator of the Standard Schema (https://standardschema.dev, version 1): zod, valibot, arktype.
 * Spelled out here, since it is an interface to copy, not a package.
 */
export interface StandardValidator<T> {
  readonly "~standard": {
    readonly version: 1;
    readonly validate: (value: unknown) => StandardResult<T> | PromiseLike<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}
type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };
interface StandardIssue {
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * JSON, checked on reading by the validator if there is one.
 * @example
 * const click = json(z.object({ page: z.string(), at: z.int() }));
 */
export function json<T = unknown>(validator?: StandardValidator<T>): Schema<T> {
  return schemaOf({ kind: "json", validator: validator ? validatorOf(validator) : null });
}

function validatorOf<T>(validator: StandardValidator<T>): JsonValidator {
  const { validate } = validator["~standard"];
  return (value) => {
    const result = validate(value);
    if ("then" in result)
      throw new ConfigError("MILL_BUILD_OPTION", "a JSON validator must answer at once, not later");
    // Paths only: the messages of a validator may quote the value.
    if (result.issues !== undefined)
      throw new DecodeError("MILL_DECODE_JSON", result.issues.map(placeOf).join(", "));
    return result.value;
  };
}

function placeOf({ path = [] }: StandardIssue): string {
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return keys.length === 0 ? "the whole value" : keys.join(".");
}

/** UTF-8 text. */
export const string: Schema<string> = schemaOf({ kind: "string" });
/** The bytes as they are. */
export const bytes: Schema<Uint8Array> = schemaOf({ kind: "bytes" });
/** Eight bytes, big-endian, as Kafka's LongSerializer writes them; beyond ±(2^53−1) is an error. */
export const long: Schema<number> = schemaOf({ kind: "long" });

/**
 * The same schema where there may be none: a topic with null keys.
 * @example
 * topic("clicks", { key: nullable(string), value: click, partitions: 4, owner: "team-web" });
 */
export const nullable = <T>(schema: Schema<T>): Schema<T | null> =>
  schemaOf({ kind: "nullable", of: schema.format });
