// A command that npm has started ends with npm. npm starts it through a shell and passes SIGTERM and SIGINT to that shell
// alone, and nobody passes anything when npm is killed: the command would go on with nobody left to stop it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { askToStop, expectRepeats } from "../engine/runtime/host/signals.ts";
import type { CliIo } from "./io.ts";

const LOOK_MS = 500;
const ANCESTORS_MAX = 4;
const SHELL = /^-?(ba|da|a|z|k|fi)?sh$|^busybox$/;
const PACKAGE_MANAGER = /^(npm|npx|pnpm|yarn|yarnpkg)\b|\b(npm|npx|pnpm|yarn)(-cli)?\.c?js\b/;

export interface Ancestor {
  readonly pid: number;
  readonly parent: number;
  /** Its command line, or the title that it gave itself. */
  readonly command: string;
}

/** A process that is alive, or null. */
export type LookUp = (pid: number) => Ancestor | null;

/** The shells between this process and npm, and npm at the end; empty where npm has not started it. */
export function launchersOf(parent: number, lookUp: LookUp): readonly Ancestor[] {
  const chain: Ancestor[] = [];
  for (let pid = parent; chain.length < ANCESTORS_MAX;) {
    const found = lookUp(pid);
    if (found === null) return [];
    chain.push(found);
    if (PACKAGE_MANAGER.test(found.command)) return chain;
    const [program = ""] = found.command.split(" ");
    if (!SHELL.test(program.replace(/^.*\//, ""))) return [];
    pid = found.parent;
  }
  return [];
}

/** Whether each of them is still the child of the next; one that has died gives its children to another. */
export const areThere = (chain: readonly Ancestor[], lookUp: LookUp): boolean =>
  chain.slice(0, -1).every(({ pid, parent }) => lookUp(pid)?.parent === parent);

/** From now on the end of npm asks this process to stop, as SIGTERM does. */
export function endWithLauncher({ env, err }: Pick<CliIo, "env" | "err">): void {
  if (env["npm_execpath"] === undefined || process.platform === "win32") return;
  const { ppid } = process;
  const chain = launchersOf(ppid, ancestor);
  if (chain.length === 0) return;
  // A terminal signals the whole group, and npm signals its child again.
  expectRepeats();
  const timer = setInterval(() => {
    if (process.ppid === ppid && areThere(chain, ancestor)) return;
    clearInterval(timer);
    err("npm, which has started this command, has ended: it ends too");
    askToStop();
  }, LOOK_MS);
  timer.unref();
}

const ancestor: LookUp = (pid) => (process.platform === "linux" ? inProc(pid) : inPs(pid));

/** The state and the parent follow the name in parentheses, which may have parentheses of its own. */
function inProc(pid: number): Ancestor | null {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").replaceAll("\0", " ");
    return state === "Z" ? null : { pid, parent: Number(parent), command: command.trim() };
  } catch {
    // It is gone, or not ours to look at.
    return null;
  }
}

function inPs(pid: number): Ancestor | null {
  try {
    const line = execFileSync("ps", ["-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" });
    const [, parent = "", command = ""] = /^(\d+)\s+(.*)/.exec(line.trimStart()) ?? [];
    return parent === "" ? null : { pid, parent: Number(parent), command };
  } catch {
    // As above.
    return null;
  }
}
