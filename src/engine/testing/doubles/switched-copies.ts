// Copies of state as one worker reaches them: a frozen worker's calls wait, a crashed one's never come back.
import type { Rebuild, StateCopies, StateCopy } from "../../core/state.ts";
import type { WorkerSwitch } from "./worker-switch.ts";

export const switchedCopies = (copies: StateCopies, worker: WorkerSwitch): StateCopies => ({
  copy: (id) => switchedCopy(copies.copy(id), worker),
  problems: () => copies.problems(),
  close: () => Promise.resolve(),
});

function switchedCopy(copy: StateCopy, worker: WorkerSwitch): StateCopy {
  const call = caller(worker);
  return {
    position: () => call(() => copy.position()),
    read: (keys) => call(() => copy.read(keys)),
    due: (...asked) => call(() => copy.due(...asked)),
    lastDue: () => call(() => copy.lastDue()),
    apply: (piece) => call(() => copy.apply(piece)),
    rebuild: () => call(async () => switchedRebuild(await copy.rebuild(), worker)),
    scan: (cursor, entriesMax) => call(() => copy.scan(cursor, entriesMax)),
    remove: () => call(() => copy.remove()),
  };
}

function switchedRebuild(rebuild: Rebuild, worker: WorkerSwitch): Rebuild {
  const call = caller(worker);
  return {
    put: (changes) => call(() => rebuild.put(changes)),
    finish: (position) => call(() => rebuild.finish(position)),
    discard: () => call(() => rebuild.discard()),
  };
}

/** On the way there and on the way back. */
const caller =
  (worker: WorkerSwitch) =>
  async <T>(work: () => Promise<T>): Promise<T> => {
    await worker.passed();
    const result = await work();
    await worker.passed();
    return result;
  };
