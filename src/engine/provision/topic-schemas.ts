// The declared schema of a topic beside the registered ones: a new version, or the reason why it cannot be one.
import { incompatibility } from "../core/avro-compatibility.ts";
import { MillraceError } from "../core/errors.ts";
import type { SchemaRegistry } from "../core/ports.ts";

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
