// A schema registry in memory: ids from 1, one id per text, versions per subject, BACKWARD compatibility.
import { DependencyError } from "../../core/errors.ts";
import { checkCompatible } from "../../core/avro-compatibility.ts";
import type { RegisteredSchema, SchemaRegistry } from "../../core/ports.ts";

export class MemoryRegistry implements SchemaRegistry {
  readonly #texts: string[] = [];
  readonly #subjects = new Map<string, RegisteredSchema[]>();
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

  async latest(subject: string): Promise<RegisteredSchema | null> {
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

  #versions(subject: string): RegisteredSchema[] {
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
