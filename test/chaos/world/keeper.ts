// A process that outlives its parent by a moment: it hears of every server and worker that was started, and ends what is
// left of them when its input ends, which happens however the parent ends. Then it removes their folder, unless
// MILLRACE_CHAOS_KEEP is set: what the brokers wrote says most about a run that does not hold.
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { end, type ProcessId } from "../../../src/stack/process.ts";

const dir = process.argv[2] ?? "";
const kept: ProcessId[] = [];
const input = createInterface({ input: process.stdin });
input.on("line", (line) => void kept.push(JSON.parse(line) as ProcessId));
input.once("close", () => {
  void Promise.all(kept.map((one) => end(one, "SIGKILL", 0))).finally(() => {
    if ((process.env["MILLRACE_CHAOS_KEEP"] ?? "") === "")
      rmSync(dir, { recursive: true, force: true });
  });
});
