// The copy of one store on one partition in Redis: one hash. Every answer carries the position that it belongs to, and
// every write is checked against it inside Redis. When to read, to write or to rebuild is for others to say.
import { assert, ConfigError } from "../../core/errors.ts";
import type { Random } from "../../core/ports.ts";
import { PIECE_CHANGES_MAX } from "../../core/state.ts";
import type {
  Applied,
  CheckedRead,
  CopyPosition,
  Rebuild,
  StateCopy,
  StatePiece,
  StateScan,
} from "../../core/state.ts";
import { argumentsOf, wordOf } from "./arguments.ts";
import type { RedisConnection } from "./connection.ts";
import {
  fieldOf,
  FORMAT,
  FORMAT_FIELD,
  keyOfField,
  POSITION_FIELD,
  rebuildKey,
  TIME_FIELD,
} from "./layout.ts";
import { RedisRebuild } from "./rebuild.ts";
import { applyScript, beginScript, scanScript } from "./scripts.ts";

export interface RedisCopyOptions {
  readonly random: Random;
  /** An abandoned rebuild vanishes after this long. */
  readonly rebuildTtlMs: number;
}

type Reply = Buffer | null;

export class RedisCopy implements StateCopy {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #options: RedisCopyOptions;

  constructor(redis: RedisConnection, key: string, options: RedisCopyOptions) {
    this.#redis = redis;
    this.#key = key;
    this.#options = options;
  }

  async position(): Promise<CopyPosition | null> {
    const [format, position, time] = await this.#fields([FORMAT_FIELD, POSITION_FIELD, TIME_FIELD]);
    const nextOffset = this.#checked(format, position);
    return nextOffset === null ? null : { nextOffset, timeMs: Number(time) };
  }

  async read(keys: readonly Buffer[]): Promise<CheckedRead> {
    const fields = [FORMAT_FIELD, POSITION_FIELD, ...keys.map(fieldOf)];
    const [format, position, ...values] = await this.#fields(fields);
    return { nextOffset: this.#checked(format, position), values };
  }

  async apply({ expected, target, changes }: StatePiece): Promise<Applied> {
    assert(target.nextOffset > expected, "a piece moves its copy forward");
    assert(changes.length <= PIECE_CHANGES_MAX, "a piece holds at most PIECE_CHANGES_MAX changes");
    const move = [expected.toString(), target.nextOffset.toString(), String(target.timeMs), "0"];
    const args = [FORMAT, ...move, ...argumentsOf(changes)];
    const reply = wordOf(await this.#redis.script(applyScript, [this.#key], args));
    if (reply === "format") throw this.#ofAnotherVersion();
    assert(isApplied(reply), "the script answers as it is written");
    return reply;
  }

  async rebuild(): Promise<Rebuild> {
    const { random, rebuildTtlMs } = this.#options;
    const token = random.token(16);
    const key = rebuildKey(this.#key, token);
    await this.#redis.script(beginScript, [key], [FORMAT, rebuildTtlMs, token]);
    return new RedisRebuild(this.#redis, { copy: this.#key, key, token, ttlMs: rebuildTtlMs });
  }

  async scan(cursor: string | null, entriesMax: number): Promise<StateScan> {
    const [token = "", place = "0"] = cursor?.split(":") ?? [];
    const reply = await this.#redis.script(scanScript, [this.#key], [token, place, entriesMax]);
    if (reply === null) return { nextOffset: null, entries: [], cursor: null };
    const page = reply as readonly [Reply, Reply, Buffer, Buffer, readonly Buffer[]];
    const next = page[3].toString();
    return {
      nextOffset: this.#checked(page[0], page[1]),
      entries: entriesOf(page[4]),
      cursor: next === "0" ? null : `${page[2].toString()}:${next}`,
    };
  }

  async remove(): Promise<void> {
    await this.#redis.run(this.#key, (redis) => redis.unlink(this.#key));
  }

  #fields(fields: readonly (string | Buffer)[]): Promise<readonly Reply[]> {
    return this.#redis.run(this.#key, (redis) => redis.hmgetBuffer(this.#key, ...fields));
  }

  /** The position of an answer. */
  #checked(format: Reply | undefined, position: Reply | undefined): bigint | null {
    const version = format?.toString() ?? null;
    const offset = position?.toString() ?? null;
    if (version === null && offset === null) return null;
    if (version !== FORMAT) throw this.#ofAnotherVersion();
    if (offset === null) return null;
    if (!/^\d+$/.test(offset)) throw this.#ofAnotherVersion();
    return BigInt(offset);
  }

  #ofAnotherVersion(): ConfigError {
    const detail = `${this.#key} at ${this.#redis.address}, expected version ${FORMAT}`;
    return new ConfigError(
      "MILL_STATE_FORMAT",
      `${detail}; to have it made anew: redis-cli UNLINK '${this.#key}'`,
    );
  }
}

const isApplied = (reply: string): reply is Applied =>
  reply === "applied" || reply === "already" || reply === "refused";

function entriesOf(flat: readonly Buffer[]): StateScan["entries"] {
  const entries: { readonly key: Buffer; readonly value: Buffer }[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = keyOfField(flat[i] as Buffer);
    if (key !== null) entries.push({ key, value: flat[i + 1] as Buffer });
  }
  return entries;
}
