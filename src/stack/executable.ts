// Finds programs on the PATH.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Env } from "./service-names.ts";

/** The first executable of this name on the PATH. */
export function onPath(name: string, env: Env): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
