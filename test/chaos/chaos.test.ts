// Four faults on real processes in one flow; twelve are in test/long/chaos.ts.
import { test } from "node:test";
import { mixed } from "./mixed.ts";

/** Worker killed, Redis failed over and back, answer to COMMIT lost, records sent twice. */
const rows = [1, 14, 25, 36];

test("four faults in one flow lose nothing and double nothing", { timeout: 580_000 }, (t) =>
  mixed(t, rows),
);
