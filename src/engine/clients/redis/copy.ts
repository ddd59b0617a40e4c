// The copy of one store on one partition in Redis: one hash, and beside it the index of
// the entries that are due. Every answer carries the position that it belongs to, and
// every write is checked against it inside Redis. When to read, to write or to rebuild is for others to say.
import { assert, ConfigError } from "../../core/errors.ts";
import type { Random } from "../../core/ports.ts";
import { PIECE_CHANGES_MAX } from "../../core/state.ts";
import type {
  Applied,
  CheckedRead,
  CopyPosition,
  DueKey,
  DueRead,
  Rebuild,
  ScannedEntry,
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
  FORMAT_WITHOUT_INDEX,
  indexKey,
  keyOfField,
  POSITION_FIELD,
  rebuildKey,
} from "./layout.ts";
import { RedisRebuild } from "./rebuild.ts";
import { applyScript, beginScript, dueScript, positionScript, scanScript } from "./scripts.ts";

export interface RedisCopyOptions {
  readonly random: Random;
  /** An abandoned rebuild vanishes after this long. */
  readonly rebuildTtlMs: number;
}

type Reply = Buffer | null;
const textOf = (reply: Reply | undefined): string | null => reply?.toString() ?? null;

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
    const reply = await this.#redis.script(positionScript, this.#keys, []);
    const [format, position, time, isWhole] = reply as readonly [Reply, Reply, Reply, number];
    const nextOffset = this.#checked(format, position);
    return nextOffset === null || isWhole === 0 ? null : { nextOffset, timeMs: Number(time) };
  }

  async read(keys: readonly Buffer[]): Promise<CheckedRead> {
    const fields = [FORMAT_FIELD, POSITION_FIELD, ...keys.map(fieldOf)];
    const reply = await this.#redis.run(this.#key, (redis) =>
      redis.hmgetBuffer(this.#key, ...fields),
    );
    const [format, position, ...values] = reply;
    return { nextOffset: this.#checked(format, position), values };
  }

  async due(beforeMs: number, keysMax: number): Promise<DueRead> {
    const before = beforeMs === Infinity ? "+inf" : `(${String(beforeMs)}`;
    const most = Number.isFinite(keysMax) ? keysMax : -1;
    const reply = await this.#redis.script(dueScript, this.#keys, [before, most]);
    const [format, position, isWhole, found, behind] = reply as DueReply;
    const nextOffset = this.#checked(format, position);
    return {
      nextOffset: isWhole === 0 ? null : nextOffset,
      keys: dueKeysOf(found),
      nextMs: dueKeysOf(behind)[0]?.dueMs ?? null,
    };
  }

  async apply({ expected, target, changes }: StatePiece): Promise<Applied> {
    assert(target.nextOffset > expected, "a piece moves its copy forward");
    assert(changes.length <= PIECE_CHANGES_MAX, "a piece holds at most PIECE_CHANGES_MAX changes");
    const move = [expected.toString(), target.nextOffset.toString(), String(target.timeMs), "0"];
    const args = [FORMAT, ...move, ...argumentsOf(changes), FORMAT_WITHOUT_INDEX];
    const reply = wordOf(await this.#redis.script(applyScript, this.#keys, args));
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
    const reply = await this.#redis.script(scanScript, this.#keys, [token, place, entriesMax]);
    if (reply === null) return { nextOffset: null, entries: [], cursor: null };
    const page = reply as readonly [Reply, Reply, Buffer, Buffer, ...Page];
    const next = page[3].toString();
    return {
      nextOffset: this.#checked(page[0], page[1]),
      entries: entriesOf([page[4], page[5]]),
      cursor: next === "0" ? null : `${page[2].toString()}:${next}`,
    };
  }

  async remove(): Promise<void> {
    await this.#redis.run(this.#key, (redis) => redis.unlink(...this.#keys));
  }

  get #keys(): [string, string] {
    return [this.#key, indexKey(this.#key)];
  }

  /** The position of an answer. */
  #checked(format: Reply | undefined, position: Reply | undefined): bigint | null {
    const [version, offset] = [textOf(format), textOf(position)];
    if (version === FORMAT_WITHOUT_INDEX || (version === null && offset === null)) return null;
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

/** Fields with their values, and the due of each; no dues at all where there is no index. */
type Page = readonly [readonly Buffer[], readonly Reply[]];

function entriesOf([flat, dues]: Page): ScannedEntry[] {
  const entries: ScannedEntry[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = keyOfField(flat[i] as Buffer);
    const due = dues[i / 2] ?? null;
    const dueMs = due === null ? null : Number(due);
    if (key !== null) entries.push({ key, value: flat[i + 1] as Buffer, dueMs });
  }
  return entries;
}

type DueReply = readonly [Reply, Reply, number, readonly Buffer[], readonly Buffer[]];

/** Fields and dues in turn. */
function dueKeysOf(flat: readonly Buffer[]): DueKey[] {
  const keys: DueKey[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = keyOfField(flat[i] as Buffer);
    assert(key !== null, "a reserved field is never due");
    keys.push({ key, dueMs: Number(flat[i + 1]) });
  }
  return keys;
}
