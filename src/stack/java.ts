// The Java that Kafka and the registry run on.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../engine/core/errors.ts";
import type { Env } from "./service-names.ts";

const run = promisify(execFile);
export const javaVersionMin = 17;

export const javaCommand = (env: Env): string =>
  env["JAVA_HOME"] === undefined || env["JAVA_HOME"] === ""
    ? "java"
    : join(env["JAVA_HOME"], "bin", "java");

/** The major version in what `java -version` prints, 0 when it says none. */
export function javaMajor(text: string): number {
  const [, first = "0", second = "0"] = /version "(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return first === "1" ? Number(second) : Number(first);
}

/** The command, once it is known to be new enough. */
export async function java(env: Env): Promise<string> {
  const command = javaCommand(env);
  const version = await run(command, ["-version"], { env: { ...env } }).catch((cause: unknown) => {
    throw new MillraceError("MILL_STACK_MISSING", `Java (${command}) cannot be run`, { cause });
  });
  const major = javaMajor(version.stderr + version.stdout);
  if (major >= javaVersionMin) return command;
  throw new MillraceError(
    "MILL_STACK_MISSING",
    `Java ${String(javaVersionMin)} or newer is needed, ${command} is ${String(major)}`,
  );
}
