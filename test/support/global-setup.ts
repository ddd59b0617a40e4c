// Servers for a whole run of tests (node --test --test-global-setup): started once, shared by every test file, stopped
// with the run however it ends. A stack that is named in MILLRACE_TEST_STACK already is used and left alone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStack, stopStack } from "../../src/stack/stack.ts";
import { keep, serverEnv } from "./stack.ts";

const isOurs = (process.env["MILLRACE_TEST_STACK"] ?? "") === "";
const dir = isOurs ? mkdtempSync(join(tmpdir(), "millrace-test-")) : "";

/** Hundreds of processes load the same modules: with their compiled code at hand a start takes half the CPU. */
const compiled = join(import.meta.dirname, "../../node_modules/.cache/compiled");

export async function globalSetup(): Promise<void> {
  process.env["NODE_COMPILE_CACHE"] ??= compiled;
  if (!isOurs) return;
  keep(dir);
  await startStack({ dir, env: serverEnv(), say: () => undefined, durable: false });
  process.env["MILLRACE_TEST_STACK"] = dir;
}

export async function globalTeardown(): Promise<void> {
  if (!isOurs) return;
  await stopStack(dir, () => undefined, { purge: true });
  rmSync(dir, { recursive: true, force: true });
}
