// A row of `millrace.runs` as the driver gives it.
import type { StoredRun } from "../../src/engine/reprocess/words/stored-run.ts";

export const storedRun: StoredRun = {
  ...{ pipeline: "shop", run: 3, state: "running", step: "range", target: "shadow" },
  range: '{"places":[],"own":[],"pins":{}}',
  options: {
    ...{ source: { kind: "kafka" }, rate: null, lagLimitMs: 10_000, workers: 1, follow: false },
    ...{ lettersMax: null, staged: [] },
  },
  counts: { done: 1, total: 2, letters: 0, seconds: 1.5 },
  detail: {},
  ...{ rate_limit: null, created: "1700000000000", updated: "1700000000000", finished: null },
  error: null,
};
