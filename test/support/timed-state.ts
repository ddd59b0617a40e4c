// The stores of the app "timed" (windows, sessions, a join, timers with their order, suppressed counts) as an operator looks at
// them: their copies in Redis, which a test damages, and what `millrace state` says of them.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { connectFor } from "../../src/cli/connect.ts";
import { stateVerb } from "../../src/cli/state.ts";
import type { StoreComparison } from "../../src/engine/operate/comparison.ts";
import { timed } from "./apps/timed.ts";
import { command, type CommandResult } from "./command.ts";
import { fieldsOf, type Damage } from "./copy-damage.ts";
import type { TimedScene } from "./timed-scene.ts";

/** As `state verify --json` has it. */
export type Verified = Pick<
  StoreComparison,
  "store" | "partition" | "keys" | "counts" | "moving" | "behind" | "problem"
> & { readonly isSame: boolean; readonly samples: readonly { readonly is: string }[] };

interface Copy {
  readonly store: string;
  readonly partition: number;
  readonly key: string;
}

export class TimedState {
  readonly redis: Redis;
  readonly copies: readonly Copy[];
  readonly #scene: TimedScene;
  readonly #pipeline: string;

  constructor(scene: TimedScene) {
    const { pipeline, storePrefix, parts } = timed.plan();
    this.#scene = scene;
    this.#pipeline = pipeline;
    this.redis = new Redis(scene.env["REDIS_URL"] ?? "");
    this.copies = parts
      .flatMap(({ stores }) => stores)
      .flatMap(({ name: store, changelog: { partitions } }) =>
        Array.from({ length: partitions }, (_, partition) => {
          const key = `{${storePrefix}:${store}:${String(partition)}}`;
          return { store, partition, key };
        }),
      );
  }

  get stores(): readonly string[] {
    return [...new Set(this.copies.map(({ store }) => store))];
  }

  /** `millrace state <verb> <pipeline> …`, with clients of its own. */
  command(verb: string, ...argv: readonly string[]): Promise<CommandResult> {
    return command(verbs, ["state", verb, this.#pipeline, ...argv], this.#scene.env);
  }

  async verified(...argv: readonly string[]): Promise<{ code: unknown; found: Verified[] }> {
    const ended = await this.command("verify", "--json", ...argv);
    const found = jsonLines<Verified>(ended);
    assert.equal(found.length, this.copies.length, ended.err.join("\n"));
    return { code: ended.code, found };
  }

  /** Every copy is what its changelog says, to its end, and each store has something in it. */
  async assertSame(): Promise<void> {
    const { code, found } = await this.verified();
    for (const { store, partition, isSame, behind, ...rest } of found)
      assert.deepEqual([isSame, behind], [true, 0], JSON.stringify({ store, partition, rest }));
    assert.equal(code, 0);
    const keys = Map.groupBy(found, ({ store }) => store);
    for (const [store, all] of keys) assert.ok(sum(all.map((one) => one.keys)) > 0, store);
  }

  /** Damages an entry of each copy that has one; the copies that it has damaged, all stores among them that can be. */
  async damage(damage: Damage, isWanted: (copy: Copy) => boolean = () => true): Promise<Copy[]> {
    const done: Copy[] = [];
    for (const copy of this.copies.filter(isWanted)) {
      const fields = await fieldsOf(this.redis, copy.key, damage.ofDue);
      const field = fields[Math.floor(fields.length / 2)];
      if (field === undefined) continue;
      await damage.does({ redis: this.redis, key: copy.key, field });
      done.push(copy);
    }
    return done;
  }
}

const verbs = stateVerb(connectFor, ({ namespace }) => [timed.plan(namespace)]);
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export const jsonLines = <T>({ out }: CommandResult): T[] =>
  out.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as T);

/** Each copy that was damaged is named with its fault, and no other. */
export function assertNamed(
  found: readonly Verified[],
  damaged: readonly Copy[],
  { name, counts, problem, isBehind = false }: Damage,
): void {
  for (const one of found) {
    const place = `${name}: ${one.store}-${String(one.partition)}`;
    const isDamaged = damaged.some(
      ({ store, partition }) => store === one.store && partition === one.partition,
    );
    if (!isDamaged) assert.deepEqual([one.isSame, one.behind], [true, 0], place);
    else {
      assert.equal(one.isSame, isBehind, place);
      assert.deepEqual(one.counts, counts, place);
      assert.equal(one.samples.length, sum(Object.values(counts)), place);
      assert.equal(one.behind > 0, isBehind, place);
      if (problem === null) assert.equal(one.problem, null, place);
      else assert.match(one.problem ?? "", problem, place);
    }
  }
}
