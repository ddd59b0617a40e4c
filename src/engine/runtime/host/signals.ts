// SIGTERM and SIGINT: the first asks for a drain, the second ends the process without waiting for it.

/** The exit code of a process whose second signal ended it. */
export const INTERRUPTED = 130;

/** A signal that came twice from one key or one command comes within this time. */
const REPEAT_MS = 300;

let repeatMs = 0;
const asked = new Set<() => void>();

/** Another process passes on what the terminal has sent already: the same signal at once afterwards counts as one. */
export function expectRepeats(): void {
  repeatMs = REPEAT_MS;
}

/** A stop that is no signal: never the second one. Where nobody listens the process ends as by SIGTERM. */
export function askToStop(): void {
  if (asked.size === 0) process.kill(process.pid, "SIGTERM");
  for (const stop of asked) stop();
}

/** Calls `onFirst` once and `onAgain` for each later one; returns how to stop listening. */
export function onStopSignal(
  onFirst: (signal: string) => void,
  onAgain: () => void = () => process.exit(INTERRUPTED),
): () => void {
  let firstMs: number | null = null;
  const handle = (signal: string): void => {
    if (firstMs !== null && performance.now() - firstMs < repeatMs) return;
    if (firstMs !== null) return onAgain();
    firstMs = performance.now();
    onFirst(signal);
  };
  const askedOnce = (): void => {
    if (firstMs === null) handle("SIGTERM");
  };
  asked.add(askedOnce);
  process.on("SIGTERM", handle);
  process.on("SIGINT", handle);
  return () => {
    asked.delete(askedOnce);
    process.off("SIGTERM", handle);
    process.off("SIGINT", handle);
  };
}
