// Follows the references of a registered schema: the types that it names and that other subjects define. The answer is one
// schema that needs no other, so nobody else has to know of references.
import { parseWriter } from "../core/avro-parser.ts";
import { schemaText } from "../core/avro-text.ts";
import type { AvroSchema } from "../core/schema.ts";

export type RegistryBody = Readonly<Record<string, unknown>>;
/** A version of a subject as the registry answers it; null when it has none. Throws while the registry is away. */
export type AskVersion = (subject: string, version: number) => Promise<RegistryBody | null>;

/**
 * The schema of an answer with the types that it refers to. It comes back as it is when it refers to nothing, and when it
 * cannot be completed: whoever reads it then says which type is not there.
 */
export async function selfContained(
  text: string,
  body: RegistryBody,
  ask: AskVersion,
): Promise<string> {
  if (referencesOf(body).length === 0) return text;
  /** Each schema after those that it refers to itself. */
  const found = new Map<string, string>();
  const visited = new Set<string>();
  const visit = async (parent: RegistryBody): Promise<void> => {
    for (const { subject, version } of referencesOf(parent)) {
      const key = `${String(version)} ${subject}`;
      if (visited.has(key)) continue;
      visited.add(key);
      const answer = await ask(subject, version);
      if (answer === null) continue;
      await visit(answer);
      if (typeof answer["schema"] === "string") found.set(key, answer["schema"]);
    }
  };
  await visit(body);
  try {
    const references = [...found.values()].map((schema) => JSON.parse(schema) as AvroSchema);
    return schemaText(parseWriter(JSON.parse(text) as AvroSchema, references));
  } catch {
    return text;
  }
}

interface Reference {
  readonly subject: string;
  readonly version: number;
}

function referencesOf(body: RegistryBody): readonly Reference[] {
  const { references } = body;
  if (!Array.isArray(references)) return [];
  return references.filter(
    (one: Partial<Reference> | null): one is Reference =>
      typeof one?.subject === "string" && typeof one.version === "number",
  );
}
