// The bounds on what a compressed batch may become, and the memory that is taken by those that are being read. One for
// all clients of a port, so that many partitions together take no more than one batch may.
import type { TopicName } from "../../../../core/record.ts";

export interface BatchSettings {
  /** The most that a batch may become, and that all batches in memory may be together. */
  readonly bytesMax: number;
  /** The most that a batch may become, as a multiple of its topic's max.message.bytes. */
  readonly growthMax: number;
}

export const defaultBatchSettings: BatchSettings = { bytesMax: 134_217_728, growthMax: 100 };

interface BatchBound {
  readonly bytesMax: number;
  readonly setting: "MILLRACE_BATCH_BYTES_MAX" | "MILLRACE_BATCH_GROWTH_MAX";
}

/** The bytes of a batch that can be made again. */
interface OpenBytes {
  readonly byteLength: number;
  drop(): void;
}

export class BatchBounds {
  readonly #settings: BatchSettings;
  /** max.message.bytes, as last described. */
  readonly #topics = new Map<TopicName, number>();
  readonly #open = new Set<OpenBytes>();

  constructor(settings: BatchSettings = defaultBatchSettings) {
    this.#settings = settings;
  }

  learn(topic: TopicName, maxMessageBytes: number): void {
    if (maxMessageBytes > 0) this.#topics.set(topic, maxMessageBytes);
  }

  /**
   * The bound for a batch of so many bytes, and the setting that gives it. A batch that was written while the topic took
   * more is measured by its own size; as long as nobody has described the topic, the absolute bound alone counts.
   */
  of(topic: TopicName, byteLength: number): BatchBound {
    const { bytesMax, growthMax } = this.#settings;
    const least = this.#topics.get(topic);
    const grown = least === undefined ? Infinity : growthMax * Math.max(least, byteLength);
    return grown < bytesMax
      ? { bytesMax: grown, setting: "MILLRACE_BATCH_GROWTH_MAX" }
      : { bytesMax, setting: "MILLRACE_BATCH_BYTES_MAX" };
  }

  /** Drops what was opened longest ago, until there is room. */
  opened(bytes: OpenBytes): void {
    let sum = bytes.byteLength;
    for (const other of this.#open) sum += other.byteLength;
    for (const other of this.#open) {
      if (sum <= this.#settings.bytesMax) break;
      sum -= other.byteLength;
      this.closed(other);
      other.drop();
    }
    this.#open.add(bytes);
  }

  closed(bytes: OpenBytes): void {
    this.#open.delete(bytes);
  }
}
