// A lock across processes: a file made exclusively, holding who made it. The file of a process that died is removed.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRunning, startTimeOf, type ProcessId } from "./process.ts";

/** Runs `work` while no other process holds the lock. */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  while (!take(file)) {
    passOverTheDead(file);
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function take(file: string): boolean {
  const owner: ProcessId = { pid: process.pid, startedAt: startTimeOf(process.pid) ?? "" };
  try {
    writeFileSync(file, JSON.stringify(owner), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function passOverTheDead(file: string): void {
  try {
    if (isRunning(JSON.parse(readFileSync(file, "utf8")) as ProcessId)) return;
    // Renamed first, so that of two waiters only one removes it.
    const aside = `${file}.${String(process.pid)}`;
    renameSync(file, aside);
    rmSync(aside);
  } catch {
    // Gone, taken by another waiter, or not written out yet: look again.
  }
}
