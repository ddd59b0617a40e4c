import { readFileSync } from "node:fs";

/** The most memory that a process has had, in bytes. */
export function peakOf(pid: number): number {
  const [, kb = "0"] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8")) ?? [];
  return Number(kb) * 1_024;
}
