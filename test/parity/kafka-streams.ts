// Asks Kafka Streams itself, by Main.java with the jars that pom.xml names. The jars are fetched once, with checksums, into
// the cache of the local stack; nothing is run from a folder that differs from its list.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { assertChecksums } from "../../src/stack/checksums.ts";
import { cacheOf } from "../../src/stack/download.ts";
import { java } from "../../src/stack/java.ts";
import { withLock } from "../../src/stack/lock.ts";
import type { Case } from "./cases.ts";
import { pairRow, windowRow } from "./reference/rows.ts";

const run = promisify(execFile);
const here = import.meta.dirname;
const VERSION = /streams-test-utils<\/artifactId>\s*<version>([^<]+)</;

const version = (): string =>
  VERSION.exec(readFileSync(join(here, "pom.xml"), "utf8"))?.[1] ?? "unknown";

/** The rows of each case, in the order of their output. */
export async function askKafkaStreams(cases: readonly Case[]): Promise<string[][]> {
  const command = await java(process.env);
  const state = mkdtempSync(join(tmpdir(), "parity-"));
  try {
    const jars = join(await fetched(), "*");
    const options = ["-XX:TieredStopAtLevel=1", "-cp", jars, join(here, "Main.java"), state];
    const child = spawn(command, options, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.end(cases.map((one) => `${JSON.stringify(one)}\n`).join(""));
    const lines = (await text(child.stdout)).trim().split("\n");
    return cases.map((one, i) => rowsOf(one, lines[i]));
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

async function fetched(): Promise<string> {
  const cache = cacheOf(process.env);
  const folder = join(cache, `kafka-streams-test-utils-${version()}`);
  await withLock(join(cache, ".lock"), async () => {
    if (existsSync(folder)) return;
    const partial = `${folder}.partial`;
    rmSync(partial, { recursive: true, force: true });
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    // -C: a file whose checksum differs from the repository's ends the download.
    await run("mvn", ["-q", "-B", "-ntp", "-C", "-f", here, goal, `-DoutputDirectory=${partial}`]);
    await assertChecksums(folder, partial, here);
    renameSync(partial, folder);
  });
  await assertChecksums(folder, folder, here);
  return folder;
}

interface JavaRow {
  readonly key: string;
  readonly t: number;
  readonly value: string;
}
/** "start end: values", as Main.java writes a window. */
const WINDOW = /^(\d+) (\d+): (.*)$/;

function rowsOf({ operator }: Case, line: string | undefined): string[] {
  if (line === undefined) throw new Error("Java has ended before it answered every case");
  return (JSON.parse(line) as readonly JavaRow[]).map(({ key, t, value }) => {
    if (operator.kind === "join") return pairRow(key, t, value);
    const [, start, end, values = ""] = WINDOW.exec(value) ?? [];
    return windowRow({
      key,
      start: Number(start),
      end: Number(end),
      t,
      values: values.split(" "),
    });
  });
}
