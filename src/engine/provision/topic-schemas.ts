// The declared schema of a topic beside the registered ones: a new version, or the reason why it cannot be one.
import { incompatibilities } from "../core/avro-compatibility.ts";
import { parseAvro, parseWriter } from "../core/avro-parser.ts";
import { ConfigError, MillraceError } from "../core/errors.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { AvroSchema } from "../core/schema.ts";

export interface DesiredSchema {
  readonly subject: string;
  /** The text of the schema. */
  readonly schema: string;
}
export interface SchemaStep extends DesiredSchema {
  readonly version: number;
}

export interface SchemasPlan {
  readonly registers: readonly SchemaStep[];
  /** Subjects that have the declared schema. */
  readonly registered: readonly string[];
  readonly problems: readonly MillraceError[];
}

export async function planSchemas(
  schemas: readonly DesiredSchema[],
  registry: SchemaRegistry,
): Promise<SchemasPlan> {
  const registers: SchemaStep[] = [];
  const registered: string[] = [];
  const problems: MillraceError[] = [];
  for (const schema of schemas) {
    const step = await planSchema(schema, registry);
    if (step instanceof MillraceError) problems.push(step);
    else if (step === null) registered.push(schema.subject);
    else registers.push(step);
  }
  return { registers, registered, problems };
}

/** Null when it is registered already. */
async function planSchema(
  { subject, schema }: DesiredSchema,
  registry: SchemaRegistry,
): Promise<SchemaStep | MillraceError | null> {
  if ((await registry.idOf(subject, schema)) !== null) return null;
  const newest = await registry.latest(subject);
  const problem = newest === null ? null : incompatibility(subject, schema, newest.schema);
  return problem ?? { subject, schema, version: (newest?.version ?? 0) + 1 };
}

function incompatibility(subject: string, schema: string, newest: string): MillraceError | null {
  try {
    const reader = parseAvro(JSON.parse(schema) as AvroSchema);
    const writer = parseWriter(JSON.parse(newest) as AvroSchema);
    const reasons = incompatibilities(reader, writer);
    if (reasons.length === 0) return null;
    return new ConfigError("MILL_SCHEMA_INCOMPATIBLE", `${subject}: ${reasons.join("; ")}`);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    return new ConfigError("MILL_SCHEMA_INVALID", `${subject}: the registered schema is no Avro`);
  }
}
