#!/usr/bin/env node
// Plain JavaScript: an old Node must be able to read this file and say what is wrong.
import { existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
if (major > 22 || (major === 22 && minor >= 18)) {
  const { main } = await import("../src/cli/main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else if (existsSync(bundled) && !process.env.MILLRACE_NO_BUNDLED_NODE) {
  process.exit(spawnSync(bundled, process.argv.slice(1), { stdio: "inherit" }).status ?? 1);
} else {
  console.error(`millrace needs Node 22.18 or newer, this is ${process.version}. Run: npm ci`);
  process.exit(78);
}
