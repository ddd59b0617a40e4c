// Writers' schemas by registry id. Asked for once, before a batch is decoded; an id that the registry does not know is
// asked again during a grace time (its registration may be under way), then remembered as unknown for a while. Nothing
// is forgotten but by `forgetUnknown` and `forgetOld`: between a scan of a batch and its decoding an answer never goes away.
// Memory is bounded: what was wanted longest ago is forgotten first, and asked for again.
import type { Clock, Meter, SchemaRegistry } from "../../core/ports.ts";
import type { WriterSchemas } from "../../core/schema.ts";

export interface SchemaCacheOptions {
  readonly graceMs: number;
  /** The time that an unknown id stays unknown before it is asked for again. */
  readonly unknownMs: number;
  /** Schemas in memory, more than one slice has; and the characters of their texts. */
  readonly schemasMax?: number;
  readonly charactersMax?: number;
}

const defaults: SchemaCacheOptions = { graceMs: 3_000, unknownMs: 30_000 };
const ASK_AGAIN_MS = 500;
const SCHEMAS_MAX = 2_048;
const CHARACTERS_MAX = 33_554_432;

export class SchemaCache implements WriterSchemas {
  readonly #registry: SchemaRegistry;
  readonly #clock: Clock;
  readonly #options: SchemaCacheOptions;
  readonly #meter: Meter | null;
  /** The one that was wanted longest ago comes first. */
  readonly #known = new Map<number, string>();
  #characters = 0;
  /** Something was learned since `forgetOld`; asked for each slice, so it is a field. */
  hasLearned = false;
  /** Ids that the registry does not know, and when they are asked for again. */
  readonly unknownUntil: Map<number, number> = new Map();
  readonly #asking = new Map<number, Promise<void>>();

  constructor(
    registry: SchemaRegistry,
    clock: Clock,
    options: SchemaCacheOptions = defaults,
    meter: Meter | null = null,
  ) {
    this.#meter = meter;
    this.#registry = registry;
    this.#clock = clock;
    this.#options = options;
  }

  get(id: number): string | "unknown" | undefined {
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#known.delete(id);
      this.#known.set(id, known);
      return known;
    }
    return this.unknownUntil.has(id) ? "unknown" : undefined;
  }

  /** Forgets the unknown ids whose time is over, so that the next scan finds them to be asked for. */
  forgetUnknown(): void {
    const now = this.#clock.monotonic();
    for (const [id, until] of this.unknownUntil) if (until <= now) this.unknownUntil.delete(id);
  }

  /** Forgets what is more than memory has room for. To be called before a scan. */
  forgetOld(): void {
    this.hasLearned = false;
    const { schemasMax = SCHEMAS_MAX, charactersMax = CHARACTERS_MAX } = this.#options;
    for (const [id, text] of this.#known) {
      if (this.#known.size <= schemasMax && this.#characters <= charactersMax) break;
      this.#known.delete(id);
      this.#characters -= text.length;
      this.#meter?.count("millrace_schemas_forgotten_total", {});
    }
    for (const id of this.unknownUntil.keys()) {
      if (this.unknownUntil.size <= schemasMax) break;
      this.unknownUntil.delete(id);
    }
  }

  /** Resolves when every id is known or known to be unknown; throws with disposition "retry" while the registry is away. */
  async learn(ids: Iterable<number>): Promise<void> {
    await Promise.all([...ids].map((id) => this.#learnOnce(id)));
  }

  async #learnOnce(id: number): Promise<void> {
    if (this.get(id) !== undefined) return;
    const asked = this.#asking.get(id) ?? this.#ask(id);
    this.#asking.set(id, asked);
    try {
      await asked;
    } finally {
      this.#asking.delete(id);
    }
  }

  async #ask(id: number): Promise<void> {
    this.hasLearned = true;
    const until = this.#clock.monotonic() + this.#options.graceMs;
    for (;;) {
      const schema = await this.#registry.schemaById(id);
      if (schema !== null) {
        this.#known.set(id, schema);
        this.#characters += schema.length;
        return;
      }
      if (this.#clock.monotonic() >= until) break;
      await this.#clock.sleep(ASK_AGAIN_MS);
    }
    this.unknownUntil.set(id, this.#clock.monotonic() + this.#options.unknownMs);
  }
}
