// A schema registry in memory: ids from 1, one id per text, versions per subject, BACKWARD compatibility.
import { ConfigError, DependencyError } from "../../core/errors.ts";
import { incompatibilities } from "../../core/avro-compatibility.ts";
import { parseAvro, parseWriter } from "../../core/avro-parser.ts";
import type { SchemaRegistry } from "../../core/ports.ts";
import type { AvroSchema } from "../../core/schema.ts";

interface Registered {
  readonly id: number;
  readonly version: number;
  readonly schema: string;
}

export class MemoryRegistry implements SchemaRegistry {
  readonly #texts: string[] = [];
  readonly #subjects = new Map<string, Registered[]>();
  #isAvailable = true;

  /** While away, every call fails with MILL_REGISTRY_UNAVAILABLE. */
  setAvailable(isAvailable: boolean): void {
    this.#isAvailable = isAvailable;
  }

  async schemaById(id: number): Promise<string | null> {
    await this.#request();
    return this.#texts[id - 1] ?? null;
  }

  async idOf(subject: string, schema: string): Promise<number | null> {
    await this.#request();
    return this.#versions(subject).find((one) => isSame(one.schema, schema))?.id ?? null;
  }

  async latest(subject: string): Promise<Registered | null> {
    await this.#request();
    return this.#versions(subject).at(-1) ?? null;
  }

  async register(subject: string, schema: string): Promise<number> {
    await this.#request();
    const newest = this.#versions(subject).at(-1);
    if (newest !== undefined) checkCompatible(subject, schema, newest.schema);
    return this.force(subject, schema);
  }

  /** Registers whatever it is, as a producer could that goes its own way. */
  force(subject: string, schema: string): number {
    const versions = this.#versions(subject);
    const known = versions.find((one) => isSame(one.schema, schema));
    if (known !== undefined) return known.id;
    const at = this.#texts.findIndex((text) => isSame(text, schema));
    const id = at >= 0 ? at + 1 : this.#texts.push(schema);
    versions.push({ id, version: versions.length + 1, schema });
    this.#subjects.set(subject, versions);
    return id;
  }

  #versions(subject: string): Registered[] {
    return this.#subjects.get(subject) ?? [];
  }

  async #request(): Promise<void> {
    await Promise.resolve();
    if (!this.#isAvailable)
      throw new DependencyError("MILL_REGISTRY_UNAVAILABLE", "the registry does not answer");
  }
}

/** White space is not part of a schema. */
const isSame = (a: string, b: string): boolean =>
  a === b || JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));

function checkCompatible(subject: string, schema: string, registered: string): void {
  const reader = parseAvro(JSON.parse(schema) as AvroSchema);
  const writer = parseWriter(JSON.parse(registered) as AvroSchema);
  const problems = incompatibilities(reader, writer);
  if (problems.length === 0) return;
  throw new ConfigError("MILL_SCHEMA_INCOMPATIBLE", `${subject}: ${problems.join("; ")}`);
}
