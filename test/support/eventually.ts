// Waiting for something that happens by itself, with a limit far beyond what it takes.
import { setTimeout as delay } from "node:timers/promises";

/** What takes seconds by itself takes minutes on a machine with other work. */
const LIMIT_MS = 180_000;
const LOOK_MS = 40;

/** The first answer that is not null; throws what was waited for when there is none in time. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  limitMs: number = LIMIT_MS,
): Promise<NonNullable<T>> {
  const giveUpAt = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
    if (Date.now() > giveUpAt) throw new Error(`waited in vain: ${what}`);
    await delay(LOOK_MS);
  }
}
