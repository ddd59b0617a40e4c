// Runs the fuzzer in a thread and watches it: a case that does not end is a finding too.
import { Worker } from "node:worker_threads";
import type { Message, ThreadData } from "./thread.ts";

/** The stack of a main thread; a thread's own would be four times as large. */
const STACK_MB = 1;

export interface Watching extends Omit<ThreadData, "current"> {
  print(line: string): void;
  /** The time after which a case has no end. */
  readonly stuckMs: number;
}

/** Returns the exit code. */
export function watched({ argv, kinds, print, stuckMs }: Watching): Promise<number> {
  const current = new Int32Array(new SharedArrayBuffer(8));
  const workerData: ThreadData = { argv, kinds, current };
  const thread = new Worker(new URL("./thread.ts", import.meta.url), {
    ...{ workerData, resourceLimits: { stackSizeMb: STACK_MB } },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let run: Extract<Message, { readonly seed: number }> | null = null;
  let [seen, since] = ["", performance.now()];
  const watch = setInterval(() => {
    const [kind = 0, number = 0] = current;
    const place = `--kind ${run?.names[kind] ?? ""} --case ${String(number)}`;
    if (seen !== place) [seen, since] = [place, performance.now()];
    if (run === null || performance.now() - since < stuckMs) return;
    print(`wrong: --seed ${String(run.seed)} ${place}\n  it does not end`);
    resolve(1);
  }, stuckMs / 10);
  thread.on("error", reject);
  thread.on("exit", (code) => reject(new Error(`the thread has ended with ${String(code)}`)));
  thread.on("message", (message: Message) => {
    if ("line" in message) print(message.line);
    else if ("code" in message) resolve(message.code);
    else run = message;
  });
  return promise.finally(() => {
    clearInterval(watch);
    return thread.terminate();
  });
}
