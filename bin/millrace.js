#!/usr/bin/env node
// Plain JavaScript: an old Node must be able to read this file and say what is wrong.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) {
  const { program } = await import("../src/cli/main.ts");
  process.exitCode = await program(process.argv.slice(2));
} else {
  const { version } = process;
  console.error(`millrace needs Node 22.18 or newer, this is ${version}. Run: npx millrace`);
  process.exit(78);
}
