// The list of what a release contains names everything that is installed without dev dependencies.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;
}
interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly unknown[];
}

const root = new URL("../../", import.meta.url);

test("npm run sbom names every runtime package with version and hash, and no other", () => {
  const text = execFileSync("npm", ["run", "-s", "sbom"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const sbom = JSON.parse(text) as { bomFormat: string; components: readonly Component[] };
  assert.equal(sbom.bomFormat, "CycloneDX");
  const lock = JSON.parse(readFileSync(new URL("package-lock.json", root), "utf8")) as Lock;
  const installed = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path, { version }]) => `${path.split("node_modules/").at(-1) ?? ""}@${version}`);
  const named = sbom.components.map(({ name, version }) => `${name}@${version}`);
  assert.deepEqual([...new Set(named)].sort(), [...new Set(installed)].sort());
  for (const { name, hashes } of sbom.components) assert.ok((hashes?.length ?? 0) > 0, name);
});
