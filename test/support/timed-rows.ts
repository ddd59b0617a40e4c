// The rows that the app "timed" must have made of its topics: a second, naive program over sets of records and the times of
// their partitions, without stores, batches or watermarks that move.
import type { RawRecord } from "../../src/engine/core/record.ts";
import {
  AFTER_MS,
  BEFORE_MS,
  CALM_MS,
  GAP_MS,
  GONE_MS,
  GRACE_MS,
  PARTITIONS,
  SIZE_MS,
  type Payment,
  type Visit,
} from "./apps/timed.ts";

/** Tables of the app, each with its rows as sorted texts: columns in their order, times in epoch ms. */
export interface TimedRows {
  readonly page_views: readonly string[];
  readonly stays: readonly string[];
  readonly paid_visits: readonly string[];
  readonly departures: readonly string[];
  readonly calm_visits: readonly string[];
}
export type TimedTable = keyof TimedRows;

/** Whether time ends behind the last record, as in a run that closes its windows. */
export type TimeEnd = "close" | "keep";

interface Entry {
  readonly id: string;
  readonly page: string;
  readonly key: string;
  readonly partition: number;
  readonly at: number;
  /** The greatest time of the partition, up to this record. */
  readonly originMs: number;
}

/** The topics as they lie there, in the order of offsets. */
export function timedRows(
  topics: { readonly visits: readonly RawRecord[]; readonly payments: readonly RawRecord[] },
  end: TimeEnd = "keep",
): TimedRows {
  const visits = entriesOf(topics.visits);
  const payments = entriesOf(topics.payments);
  const visitTimes = timesOf(visits, end);
  const both = timesOf(payments, end).map((time, i) => Math.min(time, visitTimes[i] ?? -Infinity));
  const onTime = visits.filter(isOnTime);
  return {
    page_views: pageViews(visits, Math.min(...visitTimes)).sort(),
    stays: byKey(onTime)
      .flatMap((own) => staysOf(own, visitTimes))
      .sort(),
    paid_visits: paidVisits(onTime, payments.filter(isOnTime), both).sort(),
    departures: byKey(onTime)
      .flatMap((own) => departuresOf(own, visitTimes))
      .sort(),
    calm_visits: visitTimes
      .flatMap((time, i) =>
        calmVisits(
          visits.filter(({ partition }) => partition === i),
          time,
        ),
      )
      .sort(),
  };
}

function entriesOf(records: readonly RawRecord[]): Entry[] {
  const times: number[] = [];
  return records.map(({ partition, key, value }) => {
    const { id, at, page = "" } = JSON.parse(String(value)) as Payment & Partial<Visit>;
    const originMs = Math.max(times[partition] ?? -Infinity, at);
    times[partition] = originMs;
    return { id, page, key: String(key), partition, at, originMs };
  });
}

/** By partition. */
function timesOf(entries: readonly Entry[], end: TimeEnd): number[] {
  return Array.from({ length: PARTITIONS }, (_, p) => {
    const own = entries.filter(({ partition }) => partition === p);
    return end === "close" ? Infinity : Math.max(-Infinity, ...own.map(({ at }) => at));
  });
}

const isOnTime = ({ at, originMs }: Entry): boolean => at >= originMs - GRACE_MS;
const byKey = (entries: readonly Entry[]): Entry[][] => [
  ...Map.groupBy(entries, ({ key }) => key).values(),
];
const timeOf = ([first]: readonly Entry[], times: readonly number[]): number =>
  times[first?.partition ?? 0] ?? -Infinity;

function pageViews(visits: readonly Entry[], watermark: number): string[] {
  const endOf = ({ at }: Entry): number => (Math.floor(at / SIZE_MS) + 1) * SIZE_MS;
  const taken = visits.filter((visit) => visit.originMs < endOf(visit) + GRACE_MS);
  const windows = Map.groupBy(taken, (visit) => `${visit.page}|${String(endOf(visit) - SIZE_MS)}`);
  return [...windows]
    .filter(([, [first]]) => watermark >= endOf(first as Entry) + GRACE_MS)
    .map(([name, own]) => `${name}|${String(own.length)}`);
}

const inOrder = (own: readonly Entry[]): Entry[] => own.toSorted((a, b) => a.at - b.at);

/** Sets of visits of which each is at most the gap from the next. */
function staysOf(own: readonly Entry[], times: readonly number[]): string[] {
  const sorted = inOrder(own);
  const starts = sorted.flatMap(({ at }, i) =>
    i === 0 || at - (sorted[i - 1]?.at ?? 0) > GAP_MS ? [i] : [],
  );
  return starts.flatMap((from, i) => {
    const stay = sorted.slice(from, starts[i + 1]);
    const [began, ended] = [stay[0]?.at ?? 0, stay.at(-1)?.at ?? 0];
    if (timeOf(own, times) <= ended + GAP_MS + GRACE_MS) return [];
    return [[stay[0]?.key, began, ended, stay.length].join("|")];
  });
}

function paidVisits(
  visits: readonly Entry[],
  payments: readonly Entry[],
  watermarks: readonly number[],
): string[] {
  const paying = Map.groupBy(payments, ({ key }) => key);
  return visits.flatMap(({ id, key, at, partition }) => {
    const found = (paying.get(key) ?? []).filter(
      (payment) => payment.at >= at - BEFORE_MS && payment.at <= at + AFTER_MS,
    );
    if (found.length > 0) return found.map((payment) => `${id}|${payment.id}`);
    const isOver = (watermarks[partition] ?? -Infinity) > at + AFTER_MS + GRACE_MS;
    return isOver ? [`${id}|`] : [];
  });
}

/** A timer is set anew by each visit, and fires among the visits, at one time first. */
function departuresOf(own: readonly Entry[], times: readonly number[]): string[] {
  const passedMs = timeOf(own, times) - GRACE_MS;
  const rows: string[] = [];
  let due = Infinity;
  let views = 0;
  const fire = (): void => {
    rows.push([own[0]?.key, due, views].join("|"));
    [due, views] = [Infinity, 0];
  };
  for (const { at } of inOrder(own).filter((visit) => visit.at < passedMs)) {
    if (due <= at) fire();
    [due, views] = [at + GONE_MS, views + 1];
  }
  if (due < passedMs) fire();
  return rows;
}

/** Of the changes of a visitor's count the last one, once the first is so old. */
function calmVisits(own: readonly Entry[], endMs: number): string[] {
  const counts = new Map<string, number>();
  const newest = new Map<string, number>();
  const waiting = new Map<string, number>();
  const rows: string[] = [];
  const letGo = (time: number): void => {
    for (const [key, firstMs] of waiting) {
      if (firstMs + CALM_MS > time) continue;
      waiting.delete(key);
      rows.push(`${key}|${String(counts.get(key))}`);
    }
  };
  for (const { key, at, originMs } of own) {
    letGo(originMs);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    // A change has the time of the newest visit that it counts.
    newest.set(key, Math.max(newest.get(key) ?? -Infinity, at));
    if (!waiting.has(key)) waiting.set(key, newest.get(key) ?? at);
  }
  letGo(endMs);
  return rows;
}
