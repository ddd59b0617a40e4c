// A new copy beside the old one, under a key of its own that vanishes by itself when it is abandoned. Its pieces are
// counted inside Redis, so one that lost any of them never takes the old copy's place.
import { assert, DependencyError } from "../../core/errors.ts";
import type { CopyPosition, Rebuild, StateChange } from "../../core/state.ts";
import { inPieces, newestOf } from "../../core/state-pieces.ts";
import type { RedisConnection } from "./connection.ts";
import { argumentsOf, wordOf } from "./arguments.ts";
import { FORMAT, FORMAT_WITHOUT_INDEX, indexKey } from "./layout.ts";
import { applyScript, finishScript } from "./scripts.ts";

interface RebuildOf {
  readonly copy: string;
  readonly key: string;
  readonly token: string;
  readonly ttlMs: number;
}

/** Pieces on their way at once: enough to keep Redis busy, few enough for its other users and for a deadline. */
const PIECES_UNDER_WAY_MAX = 8;

export class RedisRebuild implements Rebuild {
  readonly #redis: RedisConnection;
  readonly #of: RebuildOf;
  /** Pieces of the puts that succeeded. A put that is tried again counts from here, so its pieces keep their numbers. */
  #pieces = 0;

  constructor(redis: RedisConnection, of: RebuildOf) {
    this.#redis = redis;
    this.#of = of;
  }

  async put(changes: readonly StateChange[]): Promise<void> {
    let pieces = this.#pieces;
    let underWay: Promise<void>[] = [];
    for (const piece of inPieces(changes)) {
      if (piece.length === 0) continue;
      underWay.push(this.#putPiece(newestOf(piece), pieces++));
      if (underWay.length < PIECES_UNDER_WAY_MAX) continue;
      await Promise.all(underWay);
      underWay = [];
    }
    await Promise.all(underWay);
    this.#pieces = pieces;
  }

  async finish({ nextOffset, timeMs }: CopyPosition): Promise<void> {
    const { copy, key, token } = this.#of;
    const keys = [copy, indexKey(copy), key, indexKey(key)];
    const args = [FORMAT, this.#pieces, nextOffset.toString(), timeMs, token];
    const reply = wordOf(await this.#redis.script(finishScript, keys, args));
    if (reply === "lost") throw this.#lost();
    assert(reply === "applied" || reply === "already", "the script answers as it is written");
  }

  async discard(): Promise<void> {
    const { key } = this.#of;
    await this.#redis.run(key, (redis) => redis.unlink(key, indexKey(key)));
  }

  async #putPiece(changes: readonly StateChange[], number: number): Promise<void> {
    const { key, ttlMs } = this.#of;
    const move = [String(number), String(number + 1), "0", String(ttlMs)];
    const args = [FORMAT, ...move, ...argumentsOf(changes), FORMAT_WITHOUT_INDEX];
    const reply = wordOf(await this.#redis.script(applyScript, [key, indexKey(key)], args));
    if (reply !== "applied" && reply !== "already") throw this.#lost();
  }

  #lost(): DependencyError {
    const where = `${this.#of.copy} at ${this.#redis.address}`;
    return new DependencyError("MILL_STATE_REBUILD_LOST", where);
  }
}
