// Every deliberate mistake in the protocol is caught by the simulation.
import { test } from "node:test";
import { areCaught, mistakes } from "../simulation/mistakes.ts";

const LIMIT_MS = 1_800_000;

test("every deliberate mistake in the protocol is caught", { timeout: LIMIT_MS }, (t) =>
  areCaught(t, mistakes),
);
