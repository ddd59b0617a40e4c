// Reads one partition from an offset on, without a group: state from changelogs, dead letters, bounded ranges.
// Committed records only; a leader that moves is followed; an offset that is gone is an error, never a jump.
import type { PartitionReader, ReaderOptions } from "../../core/kafka.ts";
import { MillraceError } from "../../core/errors.ts";
import { addressOf, type RawRecord } from "../../core/record.ts";
import type { Cluster } from "./cluster.ts";
import { BrokerRefusal, codes } from "./failures.ts";
import { offsetRange } from "./offset-lookup.ts";
import { fetchRequest, type FetchedPartition } from "./protocol/fetch.ts";
import { decodeRecordSet } from "./protocol/records/record-batch-decode.ts";

interface PartitionRead {
  readonly records: readonly RawRecord[];
  readonly nextOffset: bigint;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
}

const maxBytesDefault = 4_194_304;
const maxWaitMsDefault = 100;

export class KafkaPartitionReader implements PartitionReader {
  readonly #cluster: Cluster;
  readonly #options: ReaderOptions;
  readonly #deadlineMs: number;
  #nextOffset: bigint;

  constructor(cluster: Cluster, options: ReaderOptions, deadlineMs: number) {
    this.#cluster = cluster;
    this.#options = options;
    this.#deadlineMs = deadlineMs;
    this.#nextOffset = options.fromOffset;
    cluster.want([options.topic]);
  }

  async read(): Promise<PartitionRead> {
    const { topic, partition } = this.#options;
    const fetched = await this.#fetch();
    const { records, nextOffset } = decodeRecordSet({
      topic,
      partition,
      fetchedOffset: this.#nextOffset,
      recordSet: fetched.recordSet,
      aborted: fetched.aborted,
    });
    this.#nextOffset = nextOffset;
    const { highWatermark, lastStableOffset } = fetched;
    return { records, nextOffset, highWatermark, lastStableOffset };
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }

  #fetch(): Promise<FetchedPartition> {
    const { topic, partition, maxBytes = maxBytesDefault } = this.#options;
    const what = `read ${addressOf(this.#options)}`;
    return this.#cluster.retry({ deadlineMs: this.#deadlineMs, what }, async () => {
      await this.#cluster.refreshIfOld();
      const leader = this.#cluster.leaderId(this.#options);
      if (leader === null) throw await this.#refused(this.#cluster.whyNoLeader(this.#options));
      const broker = await this.#cluster.broker(leader);
      const request = fetchRequest({
        positions: [{ topic, partition, fetchOffset: this.#nextOffset, maxBytes }],
        maxBytes,
        maxWaitMs: this.#options.maxWaitMs ?? maxWaitMsDefault,
      });
      const [answer] = await this.#cluster.send(broker, request);
      if (answer === undefined) throw new BrokerRefusal(codes.networkException);
      if (answer.errorCode !== 0) throw await this.#refused(answer.errorCode);
      return answer;
    });
  }

  async #refused(code: number): Promise<Error> {
    if (code !== codes.offsetOutOfRange) {
      // The next attempt needs to know the leader; if it cannot be asked for, that attempt says so.
      await this.#cluster.refresh().catch(() => undefined);
      return new BrokerRefusal(code, this.#options);
    }
    const { low, high } = await offsetRange(this.#cluster, this.#options);
    return new MillraceError(
      "MILL_SOURCE_OFFSET_GONE",
      `${addressOf(this.#options)} has offsets ${String(low)} to ${String(high)}, asked for ${String(this.#nextOffset)}`,
      { where: { ...this.#options, offset: this.#nextOffset } },
    );
  }
}
