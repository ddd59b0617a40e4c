// A worker whose callback never ends, under the watch of its thread: test/scenario/slow-records.test.ts reads what it says.
import { pipeline } from "#engine";
import { startLoopWatch } from "../../../src/engine/runtime/loop/loop-watch.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { Fleet } from "../fleet.ts";
import { things } from "../plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const endless = pipeline("endless", ({ from }) => {
  from(input)
    .peek("quick", () => undefined)
    .peek("endless", ({ n }) => {
      while (n > 1);
    })
    .to(output);
});
const loop = startLoopWatch(new RecordingLog(), {
  MILLRACE_LOG_LEVEL: "warn",
  MILLRACE_SLOW_RECORD_MS: 300,
});
const fleet = new Fleet([endless]);
await fleet.send(
  input.name,
  [1, 2].map((n) => ({ id: "k", n })),
);
await fleet.join({ ports: { loop } });
