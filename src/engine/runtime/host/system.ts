// The real clock and randomness: the only place in the runtime that asks the system for either.
import { randomBytes } from "node:crypto";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { Clock, Random } from "../../core/ports.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    const options = signal === undefined ? undefined : { signal };
    await (ms <= 0 ? setImmediate(undefined, options) : setTimeout(ms, undefined, options));
  },
};

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

export const systemRandom: Random = {
  next: () => Math.random(),
  token: (length) => Array.from(randomBytes(length), (byte) => ALPHABET[byte % 36]).join(""),
};
