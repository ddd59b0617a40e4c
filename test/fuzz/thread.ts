// The fuzzer in a thread of its own, so that the main thread can end a case that has no end.
import { parentPort, workerData } from "node:worker_threads";
import { fuzz } from "./command.ts";
import type { AnyKind } from "./kind.ts";

/** From the thread: a line to print, the seed and the names of kinds, or the exit code. */
export type Message =
  | { readonly line: string }
  | { readonly seed: number; readonly names: readonly string[] }
  | { readonly code: number };

export interface ThreadData {
  readonly argv: readonly string[];
  /** A module that exports `kinds`. */
  readonly kinds: string;
  /** The number of the kind, and that of the case that is played. */
  readonly current: Int32Array;
}

const { argv, kinds: module, current } = workerData as ThreadData;
const { kinds } = (await import(module)) as { readonly kinds: readonly AnyKind[] };
const names = kinds.map(({ name }) => name);
const tell = (message: Message): void => parentPort?.postMessage(message);

const code = await fuzz(argv, kinds, {
  print: (line) => tell({ line }),
  onSeed: (seed) => tell({ seed, names }),
  onCase: (kind, number) => {
    Atomics.store(current, 0, names.indexOf(kind));
    Atomics.store(current, 1, number);
  },
});
tell({ code });
