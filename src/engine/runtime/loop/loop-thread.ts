// The thread that watches the event loop of a worker: it counts time, whatever the loop does, and writes to the log itself when
// the loop has not turned for long, since a step that never ends is never over. A probe of /live ends such a worker in the end, so the
// line names the step and the record before that.
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { createLog } from "../../clients/pino-log.ts";
import { LoopGuard } from "./loop-guard.ts";
import { loopMemory, WORD } from "../../core/loop-memory.ts";
import { TICK_MS, type LoopThreadStart, type PlacedSteps } from "./loop-port.ts";

const { memory: bytes, slowMs, level, pid } = workerData as LoopThreadStart;
const memory = loopMemory(bytes);
const log = createLog({ level, base: { pid } });
const guard = new LoopGuard(memory, slowMs, log);

(parentPort as MessagePort).on("message", (steps: PlacedSteps) => guard.named(steps));
setInterval(() => {
  Atomics.add(memory.words, WORD.ticks, 1);
  guard.look();
}, TICK_MS);
