// Reads one partition of the cluster in memory without a group: committed records only, in offset order.
import { MillraceError } from "../../core/errors.ts";
import type { PartitionRead, PartitionReader, ReaderOptions } from "../../core/kafka.ts";
import type { PartitionLog } from "./broker/partition-log.ts";
import type { Connection } from "./connection.ts";

const DEFAULT_BYTES_MAX = 1_048_576;
const DEFAULT_WAIT_MS = 250;

/** Made once: without a reason, each abort would make an exception with its stack. */
const SOMETHING_NEW = new Error("something is new");

export class MemoryReader implements PartitionReader {
  readonly #options: ReaderOptions;
  readonly #connection: Connection;
  #nextOffset: bigint;
  #isClosed = false;

  constructor(options: ReaderOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    this.#nextOffset = options.fromOffset;
  }

  /** Waits up to `maxWaitMs` when there is nothing new, or a caller in a loop would stop virtual time. */
  async read(): Promise<PartitionRead> {
    const result = await this.#fetch();
    if (result.nextOffset > this.#nextOffset || this.#isClosed) return this.#passed(result);
    await this.#somethingNew();
    return this.#passed(await this.#fetch());
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#connection.wire.conditions.changes.raise();
    return Promise.resolve();
  }

  #passed(result: PartitionRead): PartitionRead {
    this.#nextOffset = result.nextOffset;
    return result;
  }

  #fetch(): Promise<PartitionRead> {
    const { wire, topics, batchRecordsMax } = this.#connection;
    return wire.call("read", () => {
      const log = topics.log(this.#options);
      this.#checkRange(log);
      const bytesMax = this.#options.maxBytes ?? DEFAULT_BYTES_MAX;
      const limits = { recordsMax: batchRecordsMax, bytesMax };
      const { records, nextOffset, marks } = log.read(this.#nextOffset, limits);
      const { highWatermark, lastStableOffset } = log;
      return { records, nextOffset, marks, highWatermark, lastStableOffset };
    });
  }

  #checkRange(log: PartitionLog): void {
    const next = this.#nextOffset;
    if (next >= log.start && next <= log.highWatermark) return;
    const has = `${String(log.start)} to ${String(log.highWatermark)}`;
    throw new MillraceError("MILL_SOURCE_OFFSET_GONE", `${String(next)} is not in ${has}`, {
      where: log.at,
    });
  }

  async #somethingNew(): Promise<void> {
    const { changes, clock } = this.#connection.wire.conditions;
    const log = this.#connection.topics.log(this.#options);
    const timer = new AbortController();
    const ms = this.#options.maxWaitMs ?? DEFAULT_WAIT_MS;
    let isOver = false;
    const over = clock.sleep(ms, timer.signal).then(
      () => (isOver = true),
      () => false, // Cancelled: something was new.
    );
    while (!isOver && !this.#isClosed && log.lastStableOffset <= this.#nextOffset)
      await Promise.race([changes.wait(), over]);
    timer.abort(SOMETHING_NEW);
  }
}
