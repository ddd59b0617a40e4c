// Whether a run's answers are right, as a reader of committed records sees them. Speed without that counts for nothing.
import assert from "node:assert/strict";
import type { RawRecord } from "../src/engine/core/record.ts";
import { timeWorkloads, type Run } from "./contestant.ts";
import { paymentsOf } from "./input.ts";
import { checkPairs, checkWindows } from "./time/answers.ts";
import type { Total } from "./pipelines/payments.ts";

/** Throws when an answer is wrong, or too few of the closed windows are there; returns how many records the output topic holds. */
export function checkAnswers(run: Run, closedShareMin: number): Promise<number> {
  const ofTime = timeWorkloads.find((one) => one === run.workload);
  if (ofTime === "join") return checkPairs(run, closedShareMin, eachRecord);
  if (ofTime !== undefined)
    return checkWindows(run, { workload: ofTime, closedShareMin }, eachRecord);
  return run.workload === "map" ? checkTotals(run) : checkSums(run);
}

/** Each payment once, with its total, in the order of the input within an account. */
async function checkTotals(run: Run): Promise<number> {
  const { records } = run.input;
  const expected = Float64Array.from(paymentsOf(records), ({ amount, items }) => amount * items);
  const isSeen = new Uint8Array(records);
  const lastIds = new Map<string, number>();
  let count = 0;
  await eachRecord(run, ({ key, value }) => {
    const { id, account, total } = JSON.parse(textOf(value)) as Total;
    assert.equal(isSeen[id], 0, `payment ${String(id)} is written twice`);
    isSeen[id] = 1;
    assert.equal(total, expected[id], `payment ${String(id)}: total`);
    assert.equal(textOf(key), account);
    assert.ok((lastIds.get(account) ?? -1) < id, `payment ${String(id)} comes too late`);
    lastIds.set(account, id);
    count++;
  });
  assert.equal(count, records, "payments in the output");
  return count;
}

/** The last sum of each account is that of naive addition, to the bit: records of one key keep their order. */
async function checkSums(run: Run): Promise<number> {
  const { sums } = run.input;
  const found = new Map<string, number>();
  let count = 0;
  await eachRecord(run, ({ key, value }) => {
    found.set(textOf(key), JSON.parse(textOf(value)) as number);
    count++;
  });
  assert.equal(found.size, sums.size, "accounts in the output");
  for (const [account, sum] of sums) assert.equal(found.get(account), sum, `sum of ${account}`);
  return count;
}

const textOf = (bytes: Buffer | null): string => bytes?.toString("utf8") ?? "";

/** Partition by partition, up to the ends that they have now. */
async function eachRecord(
  { world, output }: Run,
  take: (record: RawRecord) => void,
): Promise<void> {
  for (const { partition, high } of await world.admin.watermarks(output)) {
    const reader = world.kafka.reader({ topic: output, partition, fromOffset: 0n });
    for (let nextOffset = 0n; nextOffset < high;) {
      const read = await reader.read();
      for (const record of read.records) take(record);
      ({ nextOffset } = read);
    }
    await reader.close();
  }
}
