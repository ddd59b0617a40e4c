// Waits until its input ends, which is when the test that started it is gone, then stops that test's servers and removes
// their folder.
import { existsSync, rmSync } from "node:fs";
import { stopStack } from "../../src/stack/stack.ts";

const dir = process.argv[2] ?? "";
process.stdin.resume();
process.stdin.once("end", () => {
  if (!existsSync(dir)) return; // The test has cleared up by itself.
  void stopStack(dir, () => undefined, { purge: true }).finally(() =>
    rmSync(dir, { recursive: true, force: true }),
  );
});
