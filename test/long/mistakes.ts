// Every deliberate mistake in the protocol is caught: by the simulation, or by the test that it names.
import { test } from "node:test";
import { areCaught, mistakes, ofTests } from "../simulation/mistakes.ts";

const LIMIT_MS = 1_800_000;

test("every deliberate mistake in the protocol is caught", { timeout: LIMIT_MS }, (t) =>
  areCaught(t, mistakes),
);

test(
  "every deliberate mistake beside the simulation is caught by its test",
  { timeout: LIMIT_MS },
  (t) => areCaught(t, ofTests),
);
