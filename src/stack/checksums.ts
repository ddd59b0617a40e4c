// The SHA-256 of every file that is fetched, as `sha256sum` prints it: one list a folder of the cache, in checksums/.
// Nothing is run from a folder that differs from its list in one byte, one name or one file more.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { MillraceError } from "../engine/core/errors.ts";

const ours = join(import.meta.dirname, "checksums");
const SHOWN = 3;

/** Ours, else the one that a user made for a version that we have none for. */
function listOf(folder: string, lists: string): string | undefined {
  const places = [join(lists, `${basename(folder)}.sha256`), `${folder}.sha256`];
  return places.find((file) => existsSync(file));
}

/**
 * Compares `files`, which are or will be `folder`, with the list of that name.
 *
 * @throws MillraceError `MILL_STACK_CHECKSUM` when a file differs, is missing or is not on the list, and when there is no list.
 */
export async function assertChecksums(folder: string, files = folder, lists = ours): Promise<void> {
  const list = listOf(folder, lists);
  if (list === undefined) throw withoutList(folder, files);
  const expected = parsed(readFileSync(list, "utf8"));
  const found = await sumsOf(files);
  const wrong = differences(expected, found);
  if (wrong.length === 0) return;
  const more = wrong.length > SHOWN ? ` and ${String(wrong.length - SHOWN)} more` : "";
  throw new MillraceError(
    "MILL_STACK_CHECKSUM",
    `${files} is not what ${list} lists: ${wrong.slice(0, SHOWN).join("; ")}${more}. Nothing of it was run. ` +
      `To fetch it anew: rm -r ${files}`,
  );
}

function withoutList(folder: string, files: string): MillraceError {
  return new MillraceError(
    "MILL_STACK_CHECKSUM",
    `no SHA-256 is known of ${basename(folder)}. Nothing of it was run. If you trust what lies in ${files}, list it: ` +
      `cd ${files} && find * -type f -exec sha256sum {} + > ${folder}.sha256`,
  );
}

/** Lines of `sha256sum`: the hash, two spaces (or a space and a star), the path. */
function parsed(list: string): ReadonlyMap<string, string> {
  const lines = list.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

async function sumsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sums = new Map<string, string>();
  for (const entry of entries.filter((one) => !one.isDirectory())) {
    const path = join(entry.parentPath, entry.name);
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash);
    sums.set(relative(folder, path).split(sep).join("/"), hash.digest("hex"));
  }
  return sums;
}

function differences(
  expected: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): readonly string[] {
  const wrong: string[] = [];
  for (const [path, sum] of expected) {
    const seen = found.get(path);
    if (seen === undefined) wrong.push(`${path} is missing`);
    else if (seen !== sum) wrong.push(`${path} has SHA-256 ${seen}`);
  }
  for (const path of found.keys()) if (!expected.has(path)) wrong.push(`${path} is not listed`);
  return wrong;
}
