// SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once (exit 130).

/** Calls `onFirst` once; returns how to stop listening. */
export function onStopSignal(onFirst: (signal: string) => void): () => void {
  let isStopping = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(130);
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
