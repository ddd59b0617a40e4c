// Twelve faults on real processes in one flow. Those that other tests of the system show one by one are not among them.
import { test } from "node:test";
import { mixed } from "../chaos/mixed.ts";

/** Of workers 1, 4, 5, 9 · of Redis 14 · of Postgres 21, 24, 25 · of records 30, 33, 36 · of the network 42. */
const rows = [1, 4, 5, 9, 14, 21, 24, 25, 30, 33, 36, 42];

test("twelve faults in one flow lose nothing and double nothing", { timeout: 880_000 }, (t) =>
  mixed(t, rows),
);
