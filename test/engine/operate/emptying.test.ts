// A compacted changelog is opened for deleting: brokers hear of it one by one, and refuse until then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import { DependencyError, MillraceError } from "../../../src/engine/core/errors.ts";
import type { ErrorCode } from "../../../src/engine/core/error-table.ts";
import type { OperatePorts } from "../../../src/engine/operate/choice.ts";
import { emptyStores } from "../../../src/engine/operate/emptying.ts";

const shape = { key: string, partitions: 1, owner: "tests" };
const input = topic("in", { ...shape, value: json<number>() });
const output = topic("out", { ...shape, value: json<number>() });
const plan = pipeline("summing", { state: "memory" }, ({ from }) => {
  from(input)
    .groupByKey()
    .sum("sums", (n) => n)
    .to(output);
}).plan();

/** Refuses so many times, then takes it; everything behind it is out of this test. */
async function attemptsOf(refused: number, code: ErrorCode): Promise<number> {
  let attempts = 0;
  const over = new Error("over");
  const ports = {
    clock: { sleep: () => Promise.resolve() },
    admin: {
      watermarks: (name: string) =>
        Promise.resolve([{ topic: name, partition: 0, low: 0n, high: 5n }]),
      alterTopicConfig: () => Promise.resolve(),
      deleteRecords: () =>
        ++attempts <= refused
          ? Promise.reject(new DependencyError(code, "delete records"))
          : Promise.reject(over),
    },
  } as unknown as OperatePorts;
  await emptyStores(plan, ports).catch((error: unknown) => {
    if (error !== over) throw error;
  });
  return attempts;
}

test("stores are emptied once every broker has heard that their changelog may be deleted from", async () => {
  for (const code of ["MILL_KAFKA_REFUSED", "MILL_OUTPUT_REFUSED"] as const)
    assert.equal(await attemptsOf(3, code), 4, code);
  await assert.rejects(attemptsOf(3, "MILL_TOPIC_MISSING"), MillraceError);
});
