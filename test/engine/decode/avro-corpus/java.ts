// Asks Java's Avro, by Main.java with the jars that pom.xml names. Needs Java 17 and Maven; the jars come from Maven's cache.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pair } from "./generate.ts";

/** The answer of Java to one record. */
export type Answer = { readonly ok: unknown } | { readonly error: string };

const here = import.meta.dirname;
const VERSION = /<artifactId>avro<\/artifactId>\s*<version>([^<]+)</;

export const javaVersion = (): string =>
  `org.apache.avro:avro ${VERSION.exec(readFileSync(join(here, "pom.xml"), "utf8"))?.[1] ?? ""}`;

/** For each pair an answer a record. */
export async function askJava(pairs: readonly Pair[]): Promise<readonly (readonly Answer[])[]> {
  const jars = mkdtempSync(join(tmpdir(), "avro-corpus-"));
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
  execFileSync("mvn", ["-q", "-B", "-f", here, goal, `-DoutputDirectory=${jars}`]);
  const args = ["-Xss16m", "-cp", join(jars, "*"), join(here, "Main.java")];
  const text = await answered(args, pairs.map((pair) => JSON.stringify(pair)).join("\n"));
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as readonly Answer[]);
}

function answered(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 2 ** 30, encoding: "utf8" as const };
    const java = execFile("java", args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error as Error);
    });
    java.stdin?.end(input);
  });
}
