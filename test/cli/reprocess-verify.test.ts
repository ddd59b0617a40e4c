import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { pipeline } from "#engine";
import { verifyVerb } from "../../src/cli/promote/verify.ts";
import type { Reprocessing } from "../../src/cli/reprocess/connection.ts";
import { things } from "../support/plans.ts";

const copy = pipeline("copy", ({ from }) => from(things("in")).to(things("out"))).plan();

test("a pipeline without tables is refused: that nothing differs would say that everything is equal", async () => {
  const program = new Command();
  const asked: Promise<number>[] = [];
  const nothing = (): Promise<void> => Promise.resolve();
  verifyVerb(
    program,
    (_name, work) => {
      asked.push(work({} as Reprocessing, copy));
      return nothing();
    },
    nothing,
  );
  await program.parseAsync(["verify", "copy"], { from: "user" });
  await assert.rejects(
    asked[0] ?? Promise.resolve(),
    /copy writes no tables, so there is nothing to compare/,
  );
});
