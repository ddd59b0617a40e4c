// Our reading of Avro beside Java's with pairs of schemas that nobody has seen: the seed is the time, and is printed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { compared } from "../engine/decode/avro-corpus/compare.ts";
import { pairsOf } from "../engine/decode/avro-corpus/generate.ts";
import { askJava, javaVersion } from "../engine/decode/avro-corpus/java.ts";

const PAIRS = 3000;
const isThere = (command: string): boolean => spawnSync(command, ["-version"]).status === 0;
const skip = isThere("java") && isThere("mvn") ? false : "needs Java 17 and Maven";

test(
  "made-up pairs are read as by Java's Avro, but for the listed differences",
  { skip },
  async (t) => {
    const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 2 ** 31);
    t.diagnostic(`seed ${String(seed)}, ${javaVersion()}`);
    const pairs = pairsOf(seed, PAIRS);
    const answers = await askJava(pairs);
    const cases = pairs.map((pair, i) => ({ ...pair, java: answers[i] ?? [] }));
    const { same, refusedByBoth, differing } = compared(cases);
    t.diagnostic(`same value ${String(same)}, refused by both ${String(refusedByBoth)}`);
    for (const [reason, n] of differing) t.diagnostic(`${String(n)}: ${reason}`);
    assert.ok(same > 2 * PAIRS - PAIRS / 2);
  },
);
