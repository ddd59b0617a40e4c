// Reads one partition from an offset on, without a group: state from changelogs, dead letters, bounded ranges.
// Committed records only; a leader that moves is followed; an offset that is gone is an error, never a jump.
import type { PartitionRead, PartitionReader, ReaderOptions } from "../../core/kafka.ts";
import { MillraceError } from "../../core/errors.ts";
import { addressOf } from "../../core/record.ts";
import type { Cluster } from "./cluster.ts";
import { BrokerRefusal, checked, codeOf, codes } from "./failures.ts";
import { lookUpEnds } from "./offset-lookup.ts";
import { fetchRequest, type FetchedPartition } from "./protocol/fetch.ts";
import type { BatchBounds } from "./protocol/records/batch-bounds.ts";
import { RecordSet } from "./protocol/records/record-set.ts";

const maxBytesDefault = 4_194_304;
const maxWaitMsDefault = 100;

export class KafkaPartitionReader implements PartitionReader {
  readonly #cluster: Cluster;
  readonly #options: ReaderOptions;
  readonly #deadlineMs: number;
  readonly #bounds: BatchBounds;
  #nextOffset: bigint;
  /** The last answer, as long as there may be more in it. */
  #rest: { readonly fetched: FetchedPartition; readonly set: RecordSet } | null = null;

  constructor(cluster: Cluster, options: ReaderOptions, deadlineMs: number, bounds: BatchBounds) {
    this.#cluster = cluster;
    this.#options = options;
    this.#deadlineMs = deadlineMs;
    this.#bounds = bounds;
    this.#nextOffset = options.fromOffset;
    cluster.want([options.topic]);
  }

  async read(): Promise<PartitionRead> {
    const left = this.#next();
    if (left !== null) return left;
    const fetched = await this.#fetch();
    const nextOffset = this.#nextOffset;
    const set = new RecordSet({ ...fetched, fetchedOffset: nextOffset }, this.#bounds);
    this.#rest = { fetched, set };
    const { highWatermark, lastStableOffset } = fetched;
    return this.#next() ?? { records: [], nextOffset, highWatermark, lastStableOffset };
  }

  /** More of the last answer; null when there is none. */
  #next(): PartitionRead | null {
    const rest = this.#rest;
    if (rest === null) return null;
    // A request that fails is made again.
    this.#rest = null;
    const piece = rest.set.next();
    if (piece === null) return null;
    this.#rest = rest;
    this.#nextOffset = piece.nextOffset;
    const { records, nextOffset, marks } = piece;
    const { highWatermark, lastStableOffset } = rest.fetched;
    return { records, nextOffset, marks, highWatermark, lastStableOffset };
  }

  close(): Promise<void> {
    this.#rest?.set.close();
    this.#rest = null;
    return this.#cluster.close();
  }

  #fetch(): Promise<FetchedPartition> {
    const { topic, partition, maxBytes = maxBytesDefault } = this.#options;
    const what = `read ${addressOf(this.#options)}`;
    return this.#cluster.retry(what, this.#deadlineMs, async () => {
      await this.#cluster.refreshIfOld();
      try {
        const broker = await this.#cluster.leader(this.#options);
        const request = fetchRequest(
          [{ topic, partition, fetchOffset: this.#nextOffset, maxBytes }],
          maxBytes,
          this.#options.maxWaitMs ?? maxWaitMsDefault,
        );
        const [answer] = checked(await this.#cluster.send(broker, request));
        if (answer === undefined) throw new BrokerRefusal(codes.networkException);
        return answer;
      } catch (error) {
        throw codeOf(error) === codes.offsetOutOfRange
          ? await this.#offsetGone()
          : await this.#cluster.afterRefusal(error);
      }
    });
  }

  async #offsetGone(): Promise<MillraceError> {
    const [ends] = await lookUpEnds(this.#cluster, [this.#options]);
    return new MillraceError(
      "MILL_SOURCE_OFFSET_GONE",
      `${addressOf(this.#options)} has offsets ${String(ends?.low)} to ${String(ends?.high)}, asked for ${String(this.#nextOffset)}`,
      { where: { ...this.#options, offset: this.#nextOffset } },
    );
  }
}
