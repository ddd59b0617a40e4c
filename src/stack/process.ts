// Processes that outlive us: launched into a session of their own, known by pid and start time together,
// so that a pid which the system gave to another program is never signalled.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MillraceError } from "../engine/core/errors.ts";
import type { Launch } from "./service-names.ts";

export interface ProcessId {
  readonly pid: number;
  readonly startedAt: string;
}

/** Starts a server with its output appended to a log file. It goes on when we end. */
export async function launch(what: Launch, logFile: string): Promise<ProcessId> {
  const log = openSync(logFile, "a", 0o600);
  try {
    const child = spawn(what.command, what.args, {
      cwd: what.cwd,
      env: { ...what.env },
      stdio: ["ignore", log, log],
      detached: true,
      ...what.user,
    });
    await once(child, "spawn");
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startedAt: startTimeOf(pid) ?? "ended" };
  } catch (cause) {
    throw new MillraceError("MILL_STACK_MISSING", `${what.command} cannot be run`, { cause });
  } finally {
    closeSync(log);
  }
}

/** Whether the work ends without an error. */
export const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

export const pidOf = (process: ProcessId | null | undefined): number | null =>
  process && isRunning(process) ? process.pid : null;

export const isRunning = (process: ProcessId): boolean =>
  startTimeOf(process.pid) === process.startedAt;

/** Sends the signal, waits, then kills. Returns when the process is gone; false if it was gone before. */
export async function end(
  target: ProcessId,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<boolean> {
  if (!isRunning(target)) return false;
  send(target, signal);
  const deadline = performance.now() + graceMs;
  while (isRunning(target)) {
    if (performance.now() > deadline) send(target, "SIGKILL");
    await sleep(20);
  }
  return true;
}

function send(target: ProcessId, signal: NodeJS.Signals): void {
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    // Gone between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** When the process began, in the system's own words; null when there is none (or only its zombie). */
export function startTimeOf(pid: number): string | null {
  return process.platform === "linux" ? startTimeInProc(pid) : startTimeFromPs(pid);
}

function startTimeInProc(pid: number): string | null {
  try {
    return startTimeInStat(readFileSync(`/proc/${String(pid)}/stat`, "utf8"));
  } catch {
    return null; // No such process.
  }
}

/** Reads the line that Linux keeps for each process; null when nothing of the process is left to wait for. */
export function startTimeInStat(stat: string): string | null {
  // The name in brackets may hold spaces and brackets; fields are counted behind its end (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, threads, startedAt] = [fields[0], Number(fields[17]), fields[19]];
  // The first thread may be a zombie while others, and the ports they listen on, are not gone yet.
  const isGone = state === "X" || (state === "Z" && threads <= 1);
  return isGone ? null : (startedAt ?? null);
}

function startTimeFromPs(pid: number): string | null {
  try {
    const args = ["-o", "state=,lstart=", "-p", String(pid)];
    const [state = "", ...start] = execFileSync("ps", args, { stdio: ["ignore", "pipe", "ignore"] })
      .toString()
      .trim()
      .split(/\s+/);
    return state === "" || state.startsWith("Z") ? null : start.join(" ");
  } catch {
    return null; // ps exits with 1 when there is no such process.
  }
}

/** The present length of a log: a later failure shows only what was written after it. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last lines that were written to a log after `fromByte`. */
export function tailOf(file: string, fromByte: number, linesMax: number): string {
  const text = readFileSync(file).subarray(fromByte).toString("utf8").trimEnd();
  return text.split("\n").slice(-linesMax).join("\n");
}
