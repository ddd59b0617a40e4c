// The copy of one store on one partition in Redis: one hash, and beside it the index of
// the entries that are due. Every answer carries the position that it belongs to, and
// every write is checked against it inside Redis. When to read, to write or to rebuild is for others to say.
import { assert, ConfigError, MillraceError } from "../../core/errors.ts";
import type { Random } from "../../core/ports.ts";
import { PIECE_CHANGES_MAX } from "../../core/state.ts";
import type {
  Applied,
  CheckedRead,
  CopyPosition,
  DueKey,
  DueRead,
  LastDue,
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

/** The place of the last member of an index. */
const LAST = -1;

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
    if (nextOffset === null || isWhole === 0) return null;
    const timeMs = wholeOf(textOf(time));
    if (timeMs === null) throw this.#damaged("its time is none");
    return { nextOffset, timeMs };
  }

  async read(keys: readonly Buffer[]): Promise<CheckedRead> {
    const fields = [FORMAT_FIELD, POSITION_FIELD, ...keys.map(fieldOf)];
    const reply = await this.#redis.run(this.#key, (redis) =>
      redis.hmgetBuffer(this.#key, ...fields),
    );
    const [format, position, ...values] = reply;
    return { nextOffset: this.#checked(format, position), values };
  }

  due(beforeMs: number, keysMax: number, behind: number): Promise<DueRead> {
    const before = beforeMs === Infinity ? "+inf" : `(${String(beforeMs)}`;
    return this.#due(before, Number.isFinite(keysMax) ? keysMax : -1, behind);
  }

  async lastDue(): Promise<LastDue> {
    const { nextOffset, nextMs } = await this.#due("-inf", 0, LAST);
    return { nextOffset, dueMs: nextMs };
  }

  async #due(before: string, most: number, behind: number): Promise<DueRead> {
    const reply = await this.#redis.script(dueScript, this.#keys, [before, most, behind]);
    const [format, position, isWhole, found, following] = reply as DueReply;
    const nextOffset = this.#checked(format, position);
    const [keys, next] = [dueKeysOf(found), dueKeysOf(following)];
    if (keys === null || next === null) throw this.#damaged("its index has what is never due");
    return { nextOffset: isWhole === 0 ? null : nextOffset, keys, nextMs: next[0]?.dueMs ?? null };
  }

  async apply({ expected, target, changes }: StatePiece): Promise<Applied> {
    assert(target.nextOffset > expected, "a piece moves its copy forward");
    assert(changes.length <= PIECE_CHANGES_MAX, "a piece holds at most PIECE_CHANGES_MAX changes");
    const move = [expected.toString(), target.nextOffset.toString(), String(target.timeMs), "0"];
    const args = [FORMAT, ...move, ...argumentsOf(changes), FORMAT_WITHOUT_INDEX];
    const reply = wordOf(await this.#redis.script(applyScript, this.#keys, args));
    if (reply === "format") throw await this.#whyRefused();
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
    const nextOffset = this.#checked(page[0], page[1]);
    const entries = entriesOf([page[4], page[5]]);
    if (entries === null) throw this.#damaged("its index has what is never due");
    return {
      nextOffset,
      entries,
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
    if (version !== FORMAT) throw this.#ofAnotherVersion(version);
    if (offset === null) return null;
    if (!OFFSET.test(offset)) throw this.#damaged("its position is no offset");
    return BigInt(offset);
  }

  /** The value that the script has seen; somebody may have replaced it since. */
  async #whyRefused(): Promise<MillraceError> {
    await this.read([]);
    return this.#damaged("it was changed meanwhile");
  }

  /** A later release counts its versions on; anything else is no version. */
  #ofAnotherVersion(version: string | null): MillraceError {
    if (version === null || !/^[1-9]\d{0,3}$/.test(version))
      return this.#damaged("its version is none");
    const detail = `${this.#key} at ${this.#redis.address}, expected version ${FORMAT}`;
    return new ConfigError(
      "MILL_STATE_FORMAT",
      `${detail}; to have it made anew: redis-cli UNLINK '${this.#key}'`,
    );
  }

  #damaged(why: string): MillraceError {
    return new MillraceError("MILL_STATE_COPY", `${this.#key} at ${this.#redis.address}: ${why}`);
  }
}

/** Kafka's offsets, as we write them: the script compares their lengths. */
const OFFSET = /^(?:0|[1-9]\d{0,18})$/;

/** Null for what is no whole number that a double has exactly. */
function wholeOf(text: string | null): number | null {
  const value = text !== null && /^-?\d{1,17}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

const isApplied = (reply: string): reply is Applied =>
  reply === "applied" || reply === "already" || reply === "refused";

/** Fields with their values, and the due of each; no dues at all where there is no index. */
type Page = readonly [readonly Buffer[], readonly Reply[]];

function entriesOf([flat, dues]: Page): ScannedEntry[] | null {
  const entries: ScannedEntry[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = keyOfField(flat[i] as Buffer);
    const due = dues[i / 2] ?? null;
    const dueMs = due === null ? null : wholeOf(scoreText(due));
    if (due !== null && (dueMs === null || key === null)) return null;
    if (key !== null) entries.push({ key, value: flat[i + 1] as Buffer, dueMs });
  }
  return entries;
}

/** Redis writes a large score with an exponent. */
const scoreText = (score: Buffer): string => {
  const text = score.toString("latin1");
  return text.includes("e") ? String(Number(text)) : text;
};

type DueReply = readonly [Reply, Reply, number, readonly Buffer[], readonly Buffer[]];

/** Fields and dues in turn; null where one can be none: a reserved field is never due. */
function dueKeysOf(flat: readonly Buffer[]): DueKey[] | null {
  const keys: DueKey[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const key = keyOfField(flat[i] as Buffer);
    const dueMs = wholeOf(scoreText(flat[i + 1] as Buffer));
    if (key === null || dueMs === null) return null;
    keys.push({ key, dueMs });
  }
  return keys;
}
