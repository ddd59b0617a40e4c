// Ten thousand seeds of the deterministic simulation, in which each kind of fault strikes many times.
import { test } from "node:test";
import { holds } from "../simulation/seeds.ts";

const LIMIT_MS = 5_400_000;

test("whatever befalls workers and servers in ten thousand seeds", { timeout: LIMIT_MS }, (t) =>
  holds(t, 10_000, 10),
);
