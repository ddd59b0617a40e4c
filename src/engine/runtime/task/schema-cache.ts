// Writers' schemas by registry id. Asked for once, before a batch is decoded; an id that the registry does not know is
// asked again during a grace time (its registration may be under way), then remembered as unknown for a while. Nothing
// is forgotten but by `forgetUnknown`: between a scan of a batch and its decoding an answer never goes away.
import type { Clock, SchemaRegistry } from "../../core/ports.ts";
import type { WriterSchemas } from "../../core/schema.ts";

export interface SchemaCacheOptions {
  readonly graceMs: number;
  /** The time that an unknown id stays unknown before it is asked for again. */
  readonly unknownMs: number;
}

const defaults: SchemaCacheOptions = { graceMs: 3_000, unknownMs: 30_000 };
const ASK_AGAIN_MS = 500;

export class SchemaCache implements WriterSchemas {
  readonly #registry: SchemaRegistry;
  readonly #clock: Clock;
  readonly #options: SchemaCacheOptions;
  readonly #known = new Map<number, string>();
  /** Ids that the registry does not know, and when they are asked for again. */
  readonly unknownUntil: Map<number, number> = new Map();
  readonly #asking = new Map<number, Promise<void>>();

  constructor(registry: SchemaRegistry, clock: Clock, options: SchemaCacheOptions = defaults) {
    this.#registry = registry;
    this.#clock = clock;
    this.#options = options;
  }

  get(id: number): string | "unknown" | undefined {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    return this.unknownUntil.has(id) ? "unknown" : undefined;
  }

  /** Forgets the unknown ids whose time is over, so that the next scan finds them to be asked for. */
  forgetUnknown(): void {
    const now = this.#clock.now();
    for (const [id, until] of this.unknownUntil) if (until <= now) this.unknownUntil.delete(id);
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
    const until = this.#clock.now() + this.#options.graceMs;
    for (;;) {
      const schema = await this.#registry.schemaById(id);
      if (schema !== null) {
        this.#known.set(id, schema);
        return;
      }
      if (this.#clock.now() >= until) break;
      await this.#clock.sleep(ASK_AGAIN_MS);
    }
    this.unknownUntil.set(id, this.#clock.now() + this.#options.unknownMs);
  }
}
