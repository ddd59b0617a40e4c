// CPU seconds of processes, as the operating system counts them (Linux: /proc/<pid>/stat, in hundredths of a second).
import { readFileSync, readdirSync } from "node:fs";

const TICKS_PER_SECOND = 100;

interface Stat {
  readonly parent: number;
  readonly ticks: number;
}

/** Null for a process that is gone. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    // Behind the name, which stands in parentheses and may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // utime and stime, and those of children that have ended and been waited for.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent: Number(fields[1]), ticks };
  } catch {
    return null;
  }
}

/** Of a process and all that came from it. */
export function cpuSecondsOf(pid: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : null;
    if (stat !== null) stats.set(Number(name), stat);
  }
  const ticksBelow = (root: number): number => {
    const children = [...stats].filter(([, { parent }]) => parent === root);
    const own = stats.get(root)?.ticks ?? 0;
    return children.reduce((sum, [child]) => sum + ticksBelow(child), own);
  };
  return ticksBelow(pid) / TICKS_PER_SECOND;
}
