// SIGTERM and SIGINT: the first asks for a drain, the second ends the process without waiting for it.

/** The exit code of a process whose second signal ended it. */
export const INTERRUPTED = 130;

/** Calls `onFirst` once and `onAgain` for each later one; returns how to stop listening. */
export function onStopSignal(
  onFirst: (signal: string) => void,
  onAgain: () => void = () => process.exit(INTERRUPTED),
): () => void {
  let isStopping = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (isStopping) return onAgain();
    isStopping = true;
    onFirst(signal);
  };
  process.on("SIGTERM", handle);
  process.on("SIGINT", handle);
  return () => {
    process.off("SIGTERM", handle);
    process.off("SIGINT", handle);
  };
}
