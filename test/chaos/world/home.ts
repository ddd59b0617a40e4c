// Where one run keeps its servers' data, and a list of its processes that are ended with it, by their ids.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTimeOf, type ProcessId } from "../../../src/stack/process.ts";

export class Home {
  readonly dir: string = mkdtempSync(join(tmpdir(), "millrace-chaos-"));
  readonly #keeper: Socket;
  readonly #logs: { readonly name: string; text(): string }[] = [];
  readonly #ends: (() => unknown)[] = [];

  constructor() {
    // Each worker process asks to be ended with us, and there are many.
    process.setMaxListeners(0);
    const keeper = spawn(process.execPath, [join(import.meta.dirname, "keeper.ts"), this.dir], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    keeper.unref();
    this.#keeper = keeper.stdin as Socket;
    this.#keeper.unref();
  }

  /** Ended with this run, if it is still the same process then. */
  keep(process: ProcessId): void {
    this.#keeper.write(`${JSON.stringify(process)}\n`);
  }
  keepPid(pid: number): void {
    const startedAt = startTimeOf(pid);
    if (startedAt !== null) this.keep({ pid, startedAt });
  }

  /** Something whose words are worth keeping when a run fails. */
  listen(name: string, text: () => string): void {
    this.#logs.push({ name, text });
  }
  /** Puts all words into files of a folder. */
  saveLogs(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const { name, text } of this.#logs) writeFileSync(join(folder, `${name}.log`), text());
  }

  /** Done at the end, last come first; as a test's own `after`, but in the order that undoing wants. */
  after(work: () => unknown): void {
    this.#ends.push(work);
  }

  async close(): Promise<void> {
    for (const work of this.#ends.splice(0).reverse()) await work();
    this.#keeper.end();
  }
}
