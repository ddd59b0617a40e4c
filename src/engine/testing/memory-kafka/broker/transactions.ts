// The transaction coordinator in memory: producer epochs, one open transaction a transactional id, its time-out, and
// markers, which may be delayed to show what happens when partitions hear of one commit at different moments.
import { FencedError } from "../../../core/errors.ts";
import type { Progress, SentBatch } from "../../../core/kafka.ts";
import type { GroupId, OutRecord, TopicPartition } from "../../../core/record.ts";
import type { GroupOffsets } from "./group-offsets.ts";
import type { PartitionLog, Transaction } from "./partition-log.ts";
import { throwRefused, type Topics } from "./topics.ts";
import { CANCELLED, type Conditions } from "./conditions.ts";

interface OpenTransaction extends Transaction {
  readonly logs: Set<PartitionLog>;
  readonly timer: AbortController;
}

interface ProducerEntry {
  epoch: number;
  timeoutMs: number;
  open: OpenTransaction | null;
  /** Markers of the last transaction that are not written yet; the next one waits for them (CONCURRENT_TRANSACTIONS). */
  markersPending: number;
}

/** A producer as the coordinator knew it when it was initialised. */
export interface ProducerTicket {
  readonly transactionalId: string;
  readonly epoch: number;
}

/** The partition of groups' progress: its markers come late like any. */
const OFFSETS: TopicPartition = { topic: "__consumer_offsets", partition: 0 };

export class Transactions {
  readonly #topics: Topics;
  readonly #offsets: GroupOffsets;
  readonly #conditions: Conditions;
  readonly #producers = new Map<string, ProducerEntry>();
  #isDelayed: (at: TopicPartition) => boolean = () => false;
  #delayedMarkers: (() => void)[] = [];

  constructor(topics: Topics, offsets: GroupOffsets, conditions: Conditions) {
    this.#topics = topics;
    this.#offsets = offsets;
    this.#conditions = conditions;
  }

  /** Fences older producers of the id at once and ends what they left open. */
  async init(transactionalId: string, timeoutMs: number): Promise<ProducerTicket> {
    const entry = this.#producers.get(transactionalId) ?? newEntry();
    this.#producers.set(transactionalId, entry);
    entry.epoch++;
    entry.timeoutMs = timeoutMs;
    this.#end(entry, "aborted");
    const ticket = { transactionalId, epoch: entry.epoch };
    await this.#settled(ticket);
    return ticket;
  }

  async append(ticket: ProducerTicket, records: readonly OutRecord[]): Promise<SentBatch[]> {
    const entry = await this.#settled(ticket);
    const transaction = this.#opened(entry);
    const sent: SentBatch[] = [];
    const { counts, refused } = this.#topics.append(records, transaction);
    for (const [log, count] of counts) {
      transaction.logs.add(log);
      const baseOffset = log.highWatermark - BigInt(count);
      const appendTimeMs = this.#topics.appendTimeMs(log.at.topic);
      sent.push({ ...log.at, count, baseOffset, appendTimeMs });
    }
    this.#conditions.changes.raise();
    throwRefused(refused);
    return sent;
  }

  /** `admit` throws if the group refuses; asked when the request is handled, not when it is sent. */
  async addOffsets(
    ticket: ProducerTicket,
    group: GroupId,
    commit: { readonly progress: readonly Progress[]; admit(): void },
  ): Promise<void> {
    const entry = await this.#settled(ticket);
    const transaction = this.#opened(entry);
    commit.admit();
    this.#offsets.add(transaction, group, commit.progress);
  }

  async end(ticket: ProducerTicket, status: "committed" | "aborted"): Promise<void> {
    this.#end(await this.#settled(ticket), status);
  }

  /** The transactional ids whose transactions are open now. */
  open(): readonly string[] {
    return [...this.#producers].flatMap(([id, entry]) => (entry.open === null ? [] : [id]));
  }

  delayMarkers(isDelayed: (at: TopicPartition) => boolean): void {
    this.#isDelayed = isDelayed;
  }

  releaseMarkers(): void {
    this.#isDelayed = () => false;
    const delayed = this.#delayedMarkers;
    this.#delayedMarkers = [];
    for (const writeMarker of delayed) writeMarker();
    this.#conditions.changes.raise();
  }

  /** The producer's entry, once its last transaction is wholly marked; throws when a newer producer has the id. */
  async #settled(ticket: ProducerTicket): Promise<ProducerEntry> {
    for (;;) {
      const entry = this.#producers.get(ticket.transactionalId);
      if (entry?.epoch !== ticket.epoch)
        throw new FencedError("MILL_KAFKA_FENCED", "a newer producer has our transactional id");
      if (entry.markersPending === 0) return entry;
      await this.#conditions.changes.wait();
    }
  }

  #opened(entry: ProducerEntry): OpenTransaction {
    if (entry.open !== null) return entry.open;
    const timer = new AbortController();
    entry.open = { status: "open", logs: new Set(), timer };
    void this.#timeOut(entry, timer.signal); // Never rejects; ends with the transaction.
    return entry.open;
  }

  /** The coordinator aborts what takes too long, and fences who began it. */
  async #timeOut(entry: ProducerEntry, cancel: AbortSignal): Promise<void> {
    if (!(await this.#conditions.elapsed(entry.timeoutMs, cancel))) return;
    entry.epoch++;
    this.#end(entry, "aborted");
  }

  #end(entry: ProducerEntry, status: "committed" | "aborted"): void {
    const transaction = entry.open;
    if (transaction === null) return;
    entry.open = null;
    transaction.status = status;
    transaction.timer.abort(CANCELLED);
    const { clock } = this.#conditions;
    for (const log of transaction.logs)
      this.#mark(entry, log.at, () => log.mark(transaction, clock.now()));
    this.#mark(entry, OFFSETS, () => this.#offsets.end(transaction));
    this.#conditions.changes.raise();
  }

  #mark(entry: ProducerEntry, at: TopicPartition, write: () => void): void {
    if (!this.#isDelayed(at)) return write();
    entry.markersPending++;
    this.#delayedMarkers.push(() => {
      entry.markersPending--;
      write();
    });
  }
}

const newEntry = (): ProducerEntry => ({ epoch: 0, timeoutMs: 0, open: null, markersPending: 0 });
