// The progress of a task in each of its input partitions: the next offset, the ledger and the time, which belong
// together and are committed together; and the metadata that carries ledger and time beside the offset (at most 4,096
// bytes, Kafka's default offset.metadata.max.bytes).
import { assert } from "./errors.ts";
import type { Progress } from "./kafka.ts";
import { addLedger, emptyLedger, ledgerFrom, ledgerTotals, type LedgerCounts } from "./ledger.ts";
import { Loading, type LoadStart } from "./loading.ts";
import type { TopicName } from "./record.ts";

export interface ProgressMetadata {
  /** The transactional id under which this progress was committed: a successor ends its open transaction. */
  readonly owner: string;
  readonly ledger: LedgerCounts;
  /** The greatest timestamp that the task had seen, epoch ms; in parts with state, once there was one. */
  readonly streamTimeMs?: number | null;
  /** The end to which a reference topic is read before the task's other inputs; null once it is. */
  readonly loadTo?: bigint | null;
}

const METADATA_BYTES_MAX = 4096;

export function encodeMetadata(metadata: ProgressMetadata): string {
  const { owner, ledger, streamTimeMs, loadTo } = metadata;
  const time = streamTimeMs ?? undefined;
  const load = loadTo?.toString();
  const text = JSON.stringify({ v: 1, owner, time, load, ledger });
  if (Buffer.byteLength(text) <= METADATA_BYTES_MAX) return text;
  // Too many operator names: keep the sums, which are what must balance.
  const { filtered = 0 } = ledgerTotals(ledger);
  const summed: LedgerCounts = { ...ledger, filtered: { "*": filtered } };
  return JSON.stringify({ v: 1, owner, time, load, ledger: summed });
}

/** Null for metadata that is not ours (an offset that somebody set by hand). */
export function decodeMetadata(text: string): ProgressMetadata | null {
  if (!text.startsWith("{")) return null;
  try {
    const parsed = JSON.parse(text) as {
      v?: unknown;
      owner?: unknown;
      time?: unknown;
      load?: unknown;
      ledger?: object;
    };
    if (parsed.v !== 1 || typeof parsed.owner !== "string") return null;
    const { owner, time, load } = parsed;
    const seen = typeof time === "number" ? { streamTimeMs: time } : {};
    const loading = typeof load === "string" ? { loadTo: BigInt(load) } : {};
    return { owner, ...seen, ...loading, ledger: ledgerFrom(parsed.ledger ?? {}) };
  } catch {
    // Not JSON: written by another tool, so it carries no ledger of ours.
    return null;
  }
}

/** No record with a time has been seen; lower than every time. */
export const NO_TIME = -1;

interface Input {
  nextOffset: bigint;
  /** Taken by a checkpoint that may still fail. */
  staged: bigint;
  /** Decided. */
  committed: bigint;
  readonly ledger: LedgerCounts;
  /** The greatest timestamp of its records, epoch ms. */
  timeMs: number;
}

/** The offset at which a task begins in one of its inputs, with what its metadata has. */
interface InputStart extends LoadStart {
  readonly ledger: LedgerCounts;
  readonly streamTimeMs: number | null;
}

export class TaskInputs {
  readonly #partition: number;
  readonly #inputs: ReadonlyMap<TopicName, Input>;
  #loading: Loading | null;

  /** A part without state has no use for times, and keeps none. */
  constructor(partition: number, starts: readonly InputStart[], keepsTime: boolean) {
    this.#partition = partition;
    this.#loading = Loading.of(starts);
    this.#inputs = new Map(
      starts.map(({ topic, nextOffset, ledger, streamTimeMs }) => [
        topic,
        {
          ...{ nextOffset, staged: nextOffset, committed: nextOffset },
          ledger: addLedger(emptyLedger(), ledger),
          // mistake: stream time forgotten
          timeMs: keepsTime ? (streamTimeMs ?? NO_TIME) : NO_TIME,
        },
      ]),
    );
  }

  #input(topic: TopicName): Input {
    const input = this.#inputs.get(topic);
    assert(input !== undefined, `the task does not own ${topic}`);
    return input;
  }

  get hasMoved(): boolean {
    return [...this.#inputs.values()].some((input) => input.nextOffset !== input.staged);
  }

  /** The greatest timestamp that the task has seen. */
  get timeMs(): number {
    let timeMs = NO_TIME;
    for (const input of this.#inputs.values()) timeMs = Math.max(timeMs, input.timeMs);
    return timeMs;
  }

  /** Cumulative; counts of records up to `nextOffset`. */
  ledger(topic: TopicName): LedgerCounts {
    return this.#input(topic).ledger;
  }

  advance(topic: TopicName, nextOffset: bigint, timeMs: number): void {
    const input = this.#input(topic);
    input.nextOffset = nextOffset;
    input.timeMs = Math.max(input.timeMs, timeMs);
    if (this.#loading !== null) this.#loading = this.#loading.read(topic, nextOffset);
  }

  /** Progress of every input, for a checkpoint. The metadata of each says the time of the task. */
  take(owner: string): Progress[] {
    const { timeMs } = this;
    return [...this.#inputs].map(([topic, input]) => {
      input.staged = input.nextOffset;
      const streamTimeMs = timeMs === NO_TIME ? null : timeMs;
      // mistake: loading not committed
      const loadTo = this.#loading?.endOf(topic) ?? null;
      // mistake: ledger after commit
      const metadata = encodeMetadata({ owner, ledger: input.ledger, streamTimeMs, loadTo });
      return { topic, partition: this.#partition, nextOffset: input.nextOffset, metadata };
    });
  }

  /** The checkpoint with this progress was decided. */
  settle(progress: readonly Progress[]): void {
    for (const { topic, nextOffset } of progress) this.#input(topic).committed = nextOffset;
  }

  committed(): { topic: TopicName; committed: bigint }[] {
    return [...this.#inputs].map(([topic, { committed }]) => ({ topic, committed }));
  }
}
