// Producers over the cluster in memory. A transactional one dies of its first failure, and says so to every later call.
import { assert, RecordsRefusedError } from "../../core/errors.ts";
import type {
  GroupGeneration,
  PlainProducer,
  Progress,
  SentBatch,
  TxProducer,
  TxProducerOptions,
} from "../../core/kafka.ts";
import type { OutRecord } from "../../core/record.ts";
import type { KafkaRequest } from "./broker/conditions.ts";
import type { ProducerTicket } from "./broker/transactions.ts";
import { throwRefused } from "./broker/topics.ts";
import type { Connection } from "./connection.ts";

/** refused: dead, but for abort(). */
type MemoryTxState = TxProducer["state"] | "refused";

/** new → init → ready → begin → open → commit or abort → ready · any failure or `close` → dead. */
export class MemoryTxProducer implements TxProducer {
  readonly #options: TxProducerOptions;
  readonly #connection: Connection;
  #state: MemoryTxState = "new";
  #ticket: ProducerTicket | null = null;
  #cause: Error | null = null;
  /** Requests go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: TxProducerOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
  }

  get state(): TxProducer["state"] {
    return this.#state === "refused" ? "dead" : this.#state;
  }

  async init(): Promise<void> {
    const { transactionalId, timeoutMs } = this.#options;
    await this.#request("init", "new", async () => {
      this.#ticket = await this.#connection.transactions.init(transactionalId, timeoutMs);
    });
    this.#state = "ready";
  }

  begin(): void {
    this.#expect("ready");
    this.#state = "open";
  }

  async send(records: readonly OutRecord[]): Promise<readonly SentBatch[]> {
    if (records.length === 0) {
      this.#expect("open");
      return [];
    }
    return this.#request("send", "open", (ticket) =>
      this.#connection.transactions.append(ticket, records),
    );
  }

  async sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    const { access, transactions, groups } = this.#connection;
    const topics = progress.map(({ topic }) => topic);
    const admit = (): void => {
      access.checkProgress(generation.group, topics);
      groups.admitInTransaction(generation);
    };
    await this.#request("sendOffsets", "open", (ticket) =>
      transactions.addOffsets(ticket, generation.group, { progress, admit }),
    );
  }

  async commit(): Promise<void> {
    await this.#request("commit", "open", (ticket) =>
      this.#connection.transactions.end(ticket, "committed"),
    );
    this.#state = "ready";
  }

  async abort(): Promise<void> {
    const from = this.#state === "refused" ? "refused" : "open";
    await this.#request("abort", from, (ticket) =>
      this.#connection.transactions.end(ticket, "aborted"),
    );
    this.#state = "ready";
  }

  /** An open transaction stays open, as it does when a client goes away. */
  close(): Promise<void> {
    this.#state = "dead";
    return Promise.resolve();
  }

  #expect(state: MemoryTxState): void {
    const isOver = this.#state === "dead" || (this.#state === "refused" && state !== "refused");
    if (isOver && this.#cause !== null) throw this.#cause;
    assert(this.#state === state, `the producer is ${this.#state}, expected ${state}`);
  }

  #request<T>(
    request: KafkaRequest,
    state: MemoryTxState,
    work: (ticket: ProducerTicket) => Promise<T>,
  ): Promise<T> {
    const mine = this.#last.then(async () => {
      this.#expect(state);
      try {
        return await this.#connection.wire.call(request, () =>
          work(this.#ticket as ProducerTicket),
        );
      } catch (error) {
        this.#state = error instanceof RecordsRefusedError ? "refused" : "dead";
        this.#cause = error as Error;
        throw error;
      }
    });
    this.#last = mine.catch(() => undefined); // Its caller hears of it.
    return mine;
  }
}

export class MemoryProducer implements PlainProducer {
  readonly #connection: Connection;
  #isClosed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    assert(!this.#isClosed, "the producer is closed");
    const { wire, topics } = this.#connection;
    await wire.call("produce", () => {
      const { refused } = topics.append(records, null);
      wire.conditions.changes.raise();
      throwRefused(refused);
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }
}
