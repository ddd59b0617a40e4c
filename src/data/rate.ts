// Records into batches for the producer: bounded by count and bytes, and by the wanted rate. With a rate the
// batches are a tenth of a second's worth, so that the flow is even and not one burst a second.
import type { Clock } from "../engine/core/ports.ts";
import type { OutRecord } from "../engine/core/record.ts";

export interface BatchLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** Records a second; null: as fast as they are taken. */
  readonly perSecond: number | null;
}

const BATCHES_PER_SECOND = 10;

/** Batches in the order of the records; each is given when it is due. Gathers one at a time. */
export async function* batches<R extends OutRecord>(
  records: AsyncIterable<R>,
  limits: BatchLimits,
  clock: Clock,
): AsyncGenerator<readonly R[]> {
  const { perSecond, bytesMax } = limits;
  const recordsMax =
    perSecond === null
      ? limits.recordsMax
      : Math.max(1, Math.min(limits.recordsMax, Math.floor(perSecond / BATCHES_PER_SECOND)));
  const startMs = clock.monotonic();
  let given = 0;
  const due = async (batch: readonly R[]): Promise<readonly R[]> => {
    if (perSecond !== null) await sleepUntil(startMs + (given * 1000) / perSecond, clock);
    given += batch.length;
    return batch;
  };
  let batch: R[] = [];
  let bytes = 0;
  for await (const record of records) {
    const size = sizeOf(record);
    if (batch.length > 0 && (batch.length >= recordsMax || bytes + size > bytesMax)) {
      yield await due(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += size;
  }
  if (batch.length > 0) yield await due(batch);
}

const sizeOf = ({ key, value }: OutRecord): number => (key?.length ?? 0) + (value?.length ?? 0);

async function sleepUntil(dueMs: number, clock: Clock): Promise<void> {
  const waitMs = Math.ceil(dueMs - clock.monotonic());
  if (waitMs > 0) await clock.sleep(waitMs);
}
