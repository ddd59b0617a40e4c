// A topic's committed records from a place on, over all partitions at once, without a group. Ends at the high
// watermark that each partition had at the start, or never when it follows.
import { BatchError } from "../engine/core/errors.ts";
import type { KafkaPort, PartitionReader, Watermarks } from "../engine/core/kafka.ts";
import type { RawRecord, TopicName } from "../engine/core/record.ts";
import { withAdmin } from "./with-admin.ts";

export type From =
  | { readonly kind: "earliest" | "latest" }
  | { readonly kind: "offset"; readonly offset: bigint }
  | { readonly kind: "time"; readonly epochMs: number };

interface ReadRequest {
  readonly topic: TopicName;
  /** Null: all. */
  readonly partition: number | null;
  readonly from: From;
  readonly isFollowing: boolean;
  /** A partition ends at a batch that cannot be read, and the others go on; left out, the error ends all of them. */
  onUnreadable?(error: BatchError): void;
}

interface Lane {
  readonly reader: PartitionReader;
  /** Records from here on came after the start. */
  readonly endOffset: bigint | null;
  isDone: boolean;
}

const WAIT_MS = 500;

/** Yields what one round of fetches brought, partition after partition, each in order of offset. */
export async function* readTopic(
  kafka: KafkaPort,
  request: ReadRequest,
): AsyncGenerator<readonly RawRecord[]> {
  const lanes = await lanesOf(kafka, request);
  try {
    for (;;) {
      const open = lanes.filter((lane) => !lane.isDone);
      if (open.length === 0) return;
      const records = (await Promise.all(open.map((lane) => readOnce(lane, request)))).flat();
      if (records.length > 0) yield records;
    }
  } finally {
    await Promise.all(lanes.map((lane) => lane.reader.close()));
  }
}

async function lanesOf(kafka: KafkaPort, request: ReadRequest): Promise<Lane[]> {
  const { topic, partition, isFollowing } = request;
  const { from } = request;
  const [watermarks, byTimeOffsets] = await withAdmin(kafka, async (admin) => [
    await admin.watermarks(topic),
    from.kind === "time" ? await admin.offsetsByTime(topic, from.epochMs) : [],
  ]);
  const wanted = watermarks.filter((at) => partition === null || at.partition === partition);
  return wanted.flatMap((at) => {
    const found = byTimeOffsets.find((start) => start.partition === at.partition);
    const fromOffset = found?.nextOffset ?? startOf(from, at);
    if (!isFollowing && fromOffset >= at.high) return [];
    const options = { topic, partition: at.partition, fromOffset, maxWaitMs: WAIT_MS };
    const endOffset = isFollowing ? null : at.high;
    return [{ reader: kafka.reader(options), endOffset, isDone: false }];
  });
}

/** Within what the partition has: an offset below its start begins at the start. */
function startOf(from: From, { low, high }: Watermarks): bigint {
  if (from.kind === "earliest") return low;
  if (from.kind !== "offset") return high;
  return from.offset < low ? low : from.offset > high ? high : from.offset;
}

async function readOnce(lane: Lane, request: ReadRequest): Promise<readonly RawRecord[]> {
  const read = await lane.reader.read().catch((error: unknown) => {
    if (request.onUnreadable === undefined || !(error instanceof BatchError)) throw error;
    request.onUnreadable(error);
    return null;
  });
  if (read === null) {
    lane.isDone = true;
    return [];
  }
  const { records, nextOffset } = read;
  const { endOffset } = lane;
  if (endOffset === null) return records;
  lane.isDone = nextOffset >= endOffset;
  return records.filter(({ offset }) => offset < endOffset);
}
