// What the line takes of a run: records of one topic, as they were when they were first read. A run of the redrive topic
// becomes lots, one for each stretch of records from one topic; letters of other parts are passed over, as these read
// the same partition for themselves. Pure.
import { readerOf } from "../../core/pieces.ts";
import { placeOf, type RawRecord } from "../../core/record.ts";
import { originalHeaders, redriveOrderOf } from "../../core/redrive.ts";
import type { Run } from "../../source/inbox.ts";
import type { BoundPart } from "./bind.ts";

/** Consecutive records of one topic; progress is of `place`. */
export interface Lot extends Run {
  readonly place: string;
}

/** At least one, so that progress moves past what is passed over. */
export function lotsOf(run: Run, bound: BoundPart): readonly Lot[] {
  const place = run.topic;
  if (place !== bound.plan.redrive) return [{ ...run, place }];
  const own = run.records.flatMap((raw) => restored(raw, bound) ?? []);
  const stretches: RawRecord[][] = [];
  for (const raw of own) {
    const last = stretches.at(-1);
    if (last?.[0]?.topic === raw.topic) last.push(raw);
    else stretches.push([raw]);
  }
  if (stretches.length === 0) return [{ ...run, place, records: [] }];
  return stretches.map((records, i): Lot => {
    const topic = (records[0] as RawRecord).topic;
    const next = stretches[i + 1]?.[0]?.redriven?.offset;
    return { ...run, place, topic, records, nextOffset: next ?? run.nextOffset };
  });
}

/** The lot's first records, and the others; `records` must be less than it has. */
export function headOf(lot: Lot, records: number): readonly [Lot, Lot] {
  const rest = lot.records.slice(records);
  const [next] = rest;
  const nextOffset = next === undefined ? lot.nextOffset : placeOf(next).offset;
  return [
    { ...lot, records: lot.records.slice(0, records), nextOffset },
    { ...lot, records: rest },
  ];
}

/** The record that had failed, or null when it is none of this part's. */
function restored(raw: RawRecord, { plan, part }: BoundPart): RawRecord | null {
  const order = redriveOrderOf(raw.headers);
  if (order === null || order.origin.partition !== raw.partition) return null;
  if (readerOf(plan, order.part, order.origin.topic) !== part) return null;
  const { topic, offset, key, value } = raw;
  const headers = originalHeaders(raw.headers);
  return { ...order.origin, key, value, headers, redriven: { topic, offset, order } };
}
