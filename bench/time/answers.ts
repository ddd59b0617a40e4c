// Whether the rows of windows are right: each closed window once, with the number of its payments, by a plain script over the input.
import assert from "node:assert/strict";
import { partitionOf, type RawRecord } from "../../src/engine/core/record.ts";
import type { Run, TimeWorkload } from "../contestant.ts";
import { paymentsOf } from "../input.ts";
import { PARTITIONS, type Payment } from "../pipelines/payments.ts";
import { JOIN, SESSION, TUMBLING, type Counted, type Pair } from "../pipelines/windows.ts";

interface Window {
  readonly key: string;
  count: number;
  readonly partition: number;
  readonly from: number;
  /** The last ms that is in it, or that a payment at its end reaches. */
  to: number;
  /** The time beyond which it is closed. */
  closeMs: number;
}

type WindowWorkload = Exclude<TimeWorkload, "join">;
type Place = Pick<Window, "key" | "partition">;
type EachRecord = (run: Run, take: (record: RawRecord) => void) => Promise<void>;

/** Throws when a row is wrong; returns how many there are. */
export async function checkWindows(
  run: Run,
  {
    workload,
    closedShareMin,
  }: { readonly workload: WindowWorkload; readonly closedShareMin: number },
  eachRecord: EachRecord,
): Promise<number> {
  const { windows, times } = expected(workload, paymentsOf(run.input.records));
  const closed = [...windows.values()].filter(
    (one) => (times[one.partition] as number) >= one.closeMs,
  );
  const seen = new Set<string>();
  await eachRecord(run, ({ key, value }) => {
    const { from, count } = JSON.parse(String(value)) as Counted;
    const id = `${String(key)} ${String(from)}`;
    assert.ok(!seen.has(id), `${id} is written twice`);
    seen.add(id);
    assert.equal(count, windows.get(id)?.count, `payments of ${id}`);
  });
  const missing = closed.filter(({ key, from }) => !seen.has(`${key} ${String(from)}`)).length;
  assert.ok(
    missing <= closed.length * (1 - closedShareMin),
    `${String(missing)} of ${String(closed.length)} windows are missing`,
  );
  return seen.size;
}

function expected(workload: WindowWorkload, payments: Iterable<Payment>) {
  const windows = new Map<string, Window>();
  const times = new Array<number>(PARTITIONS).fill(-Infinity);
  const newest = new Map<string, Window>();
  for (const { account, at } of payments) {
    const partition = partitionOf(Buffer.from(account), PARTITIONS, 0);
    times[partition] = Math.max(times[partition] ?? 0, at);
    const last = newest.get(account);
    const window =
      workload === "tumbling"
        ? tumblingOf(last, at, { key: account, partition })
        : sessionOf(last, at, { key: account, partition });
    window.count++;
    if (window === last) continue;
    newest.set(account, window);
    windows.set(`${account} ${String(window.from)}`, window);
  }
  return { windows, times };
}

/** Payments of an account come in the order of time. */
function tumblingOf(last: Window | undefined, at: number, of: Place): Window {
  const { sizeMs, graceMs } = TUMBLING;
  const from = at - (at % sizeMs);
  if (last?.from === from) return last;
  return { ...of, count: 0, from, to: from + sizeMs - 1, closeMs: from + sizeMs + graceMs };
}

function sessionOf(last: Window | undefined, at: number, of: Place): Window {
  const { gapMs, graceMs } = SESSION;
  const closeMs = at + gapMs + graceMs + 1;
  if (last === undefined || at - last.to > gapMs)
    return { ...of, count: 0, from: at, to: at, closeMs };
  last.to = at;
  last.closeMs = closeMs;
  return last;
}

/** Throws when a pair is wrong, doubled or missing; returns how many there are. */
export async function checkPairs(
  run: Run,
  shareMin: number,
  eachRecord: EachRecord,
): Promise<number> {
  const pairs = expectedPairs(paymentsOf(run.input.records));
  const seen = new Set<string>();
  await eachRecord(run, ({ value }) => {
    const { left, right } = JSON.parse(String(value)) as Pair;
    const id = `${String(left)} ${String(right)}`;
    assert.ok(pairs.has(id), `${id} is no pair`);
    assert.ok(!seen.has(id), `${id} is written twice`);
    seen.add(id);
  });
  assert.ok(seen.size >= pairs.size * shareMin, `${String(seen.size)} of ${String(pairs.size)}`);
  return seen.size;
}

/** Payments of an account come in the order of time. */
function expectedPairs(payments: Iterable<Payment>): Set<string> {
  const pairs = new Set<string>();
  const byWeb = new Map<string, Payment[]>();
  for (const payment of payments) {
    const { id, account, channel, at } = payment;
    const open = (byWeb.get(account) ?? []).filter((left) => at - left.at <= JOIN.afterMs);
    if (channel === "shop") for (const left of open) pairs.add(`${String(left.id)} ${String(id)}`);
    byWeb.set(account, channel === "web" ? [...open, payment] : open);
  }
  return pairs;
}
