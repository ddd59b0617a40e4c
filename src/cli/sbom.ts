// `npm run sbom`: what a release contains, by name, version, licence and hash, as CycloneDX JSON on standard output.
// `npm sbom --omit=dev` leaves out every package that a dev dependency needs as well (pg and zod among them), so npm reads a
// copy of the lock file that has the runtime packages only.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Json = Record<string, unknown>;
interface Lock extends Json {
  readonly packages: Readonly<Record<string, Json>>;
}

const root = join(import.meta.dirname, "../..");
const read = (name: string): Json =>
  JSON.parse(readFileSync(join(root, name), "utf8")) as unknown as Json;

const withoutDev = (manifest: Json): Json => ({ ...manifest, devDependencies: {} });

function runtimeOnly(lock: Lock): Lock {
  const kept = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
  const packages = Object.fromEntries(
    kept.map(([path, one]) => [path, path === "" ? withoutDev(one) : one]),
  );
  return { ...lock, packages };
}

const folder = mkdtempSync(join(tmpdir(), "millrace-sbom-"));
try {
  const write = (name: string, value: Json): void =>
    writeFileSync(join(folder, name), JSON.stringify(value));
  write("package.json", withoutDev(read("package.json")));
  write("package-lock.json", runtimeOnly(read("package-lock.json") as Lock));
  const args = ["sbom", "--package-lock-only", "--sbom-format=cyclonedx"];
  const npm = spawnSync("npm", args, { cwd: folder, stdio: "inherit" });
  if (npm.error !== undefined) throw npm.error;
  process.exitCode = npm.status ?? 1;
} finally {
  rmSync(folder, { recursive: true });
}
