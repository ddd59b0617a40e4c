// Programs that the stack needs and the machine lacks: fetched once by Maven, as pom.xml pins them, into a cache
// of all stacks. A folder appears in it by one rename when it is whole and has our checksums, so neither a killed download
// nor another one is ever run. The folder is compared again before every start: others may write the cache.
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../engine/core/errors.ts";
import { assertChecksums } from "./checksums.ts";
import { withLock } from "./lock.ts";
import type { Env, Say } from "./service-names.ts";

const run = promisify(execFile);
const pom = join(import.meta.dirname, "pom.xml");

type Download = "kafka" | "registry" | "redis";
const goals: Record<Download, readonly string[]> = {
  kafka: ["dependency:copy-dependencies"],
  // Maven unpacks as well, so neither tar nor unzip is needed.
  registry: ["dependency:unpack-dependencies"],
  redis: ["dependency:unpack-dependencies", "-Dmdep.unpack.includes=redis-server-*"],
};

/** `MILLRACE_CACHE`, else a folder of this project: stacks elsewhere on the machine share it. */
export const cacheOf = (env: Env): string =>
  env["MILLRACE_CACHE"] ?? join(import.meta.dirname, "../../.millrace/cache");

/** The version that pom.xml pins, the first one in the profile; for Kafka, `MILLRACE_KAFKA_VERSION` wins. */
export function versionOf(what: Download, env: Env = {}): string {
  const asked = what === "kafka" ? (env["MILLRACE_KAFKA_VERSION"] ?? "") : "";
  return asked === "" ? firstOf("(?:kafka[.])?version", what) : asked;
}

/** The first such element in a profile of pom.xml. */
function firstOf(element: string, what: Download): string {
  const profile = readFileSync(pom, "utf8").split(`<id>${what}</id>`)[1] ?? "";
  return new RegExp(`<${element}>([^<]+)<`).exec(profile)?.[1] ?? "unknown";
}

export const folderOf = (cache: string, what: Download, env: Env = {}): string =>
  join(cache, `${what}-${versionOf(what, env)}`);

export const isFetched = (cache: string, what: Download, env: Env = {}): boolean =>
  existsSync(folderOf(cache, what, env));

interface Downloads {
  readonly cache: string;
  readonly env: Env;
  readonly say: Say;
  /** The folder of the checksums. */
  readonly lists?: string;
}

/**
 * The folder that holds it, fetched if it is not there.
 *
 * @throws MillraceError `MILL_STACK_CHECKSUM` when one byte of it is not what checksums/ lists.
 */
export async function fetched(what: Download, place: Downloads): Promise<string> {
  const folder = folderOf(place.cache, what, place.env);
  if (!existsSync(folder)) return fetch(what, folder, place);
  await assertChecksums(folder, folder, place.lists);
  return folder;
}

/** Processes fetch one at a time: Maven's own repository is not made for several writers either. */
async function fetch(what: Download, folder: string, place: Downloads): Promise<string> {
  return withLock(join(place.cache, ".lock"), async () => {
    if (existsSync(folder)) return fetched(what, place);
    // For people: `apicurio-registry-app 2.6.13.Final`.
    const title = `${firstOf("artifactId", what)} ${versionOf(what, place.env)}`;
    place.say(`${what}: fetching ${title} (once)`);
    const temporary = `${folder}.partial`;
    rmSync(temporary, { recursive: true, force: true });
    await maven(what, temporary, place);
    // An archive of Java's carries no permissions; set here, since other users of the cache may not.
    if (what === "redis") {
      for (const name of readdirSync(temporary)) chmodSync(join(temporary, name), 0o755);
    }
    await assertChecksums(folder, temporary, place.lists);
    renameSync(temporary, folder);
    return folder;
  });
}

async function maven(
  what: Download,
  outputDirectory: string,
  { cache, env }: { readonly cache: string; readonly env: Env },
): Promise<void> {
  mkdirSync(join(cache, "logs"), { recursive: true });
  const log = join(cache, "logs", `maven-${what}.log`);
  // -C: a file whose checksum differs from the repository's ends the download; without it Maven warns and goes on.
  const args = ["-B", "-ntp", "-C", "-Dstyle.color=never", "-f", pom, "-P", what, ...goals[what]];
  args.push(`-DoutputDirectory=${outputDirectory}`, `-Dkafka.version=${versionOf("kafka", env)}`);
  // Maven marks what it has unpacked, wherever it went: without this a second cache would stay empty.
  rmSync(join(dirname(pom), "target"), { recursive: true, force: true });
  try {
    const { stdout } = await run("mvn", args, { env: { ...env }, maxBuffer: 1 << 26 });
    writeFileSync(log, stdout);
  } catch (cause) {
    const failure = cause as NodeJS.ErrnoException & { stdout?: string };
    if (failure.code === "ENOENT") {
      throw new MillraceError("MILL_STACK_MISSING", "Maven (mvn) is not on the PATH", { cause });
    }
    writeFileSync(log, failure.stdout ?? "");
    const errors = (failure.stdout ?? "").split("\n").filter((line) => line.includes("[ERROR]"));
    const why = errors[0] ?? "Maven failed";
    throw new MillraceError("MILL_STACK_FAILED", `${what} was not fetched: ${why} (log: ${log})`, {
      cause,
    });
  }
}
