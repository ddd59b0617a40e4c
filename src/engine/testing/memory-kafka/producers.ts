// Producers over the cluster in memory. A transactional one dies of its first failure, and says so to every later call.
import { assert } from "../../core/errors.ts";
import type {
  GroupGeneration,
  PlainProducer,
  Progress,
  SentBatch,
  TxProducer,
  TxProducerOptions,
} from "../../core/kafka.ts";
import type { OutRecord } from "../../core/record.ts";
import { TxLife } from "../../core/mutex.ts";
import type { KafkaRequest } from "./broker/conditions.ts";
import type { ProducerTicket } from "./broker/transactions.ts";
import { throwRefused } from "./broker/topics.ts";
import type { Connection } from "./connection.ts";

export class MemoryTxProducer implements TxProducer {
  readonly #options: TxProducerOptions;
  readonly #connection: Connection;
  readonly #life = new TxLife();
  #ticket: ProducerTicket | null = null;

  constructor(options: TxProducerOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
  }

  get state(): TxProducer["state"] {
    return this.#life.state;
  }

  async init(): Promise<void> {
    const { transactionalId, timeoutMs } = this.#options;
    const init = async (): Promise<void> => {
      this.#connection.access.checkTransactionalId(transactionalId);
      this.#ticket = await this.#connection.transactions.init(transactionalId, timeoutMs);
    };
    await this.#life.run("new", () => this.#connection.wire.call("init", init), "ready");
  }

  begin(): void {
    this.#life.begin();
  }

  async send(records: readonly OutRecord[]): Promise<readonly SentBatch[]> {
    if (records.length === 0) return this.#life.run("open", () => Promise.resolve([]));
    return this.#request("send", (ticket) => this.#connection.transactions.append(ticket, records));
  }

  async sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    const { access, transactions, groups } = this.#connection;
    const topics = progress.map(({ topic }) => topic);
    const admit = (): void => {
      access.checkProgress(generation.group, topics);
      groups.admitInTransaction(generation);
    };
    await this.#request("sendOffsets", (ticket) =>
      transactions.addOffsets(ticket, generation.group, { progress, admit }),
    );
  }

  async commit(): Promise<void> {
    await this.#end("commit");
  }

  async abort(): Promise<void> {
    await this.#end("abort");
  }

  /** An open transaction stays open, as it does when a client goes away. */
  close(): Promise<void> {
    this.#life.close();
    return Promise.resolve();
  }

  #end(request: "commit" | "abort"): Promise<void> {
    const { wire, transactions } = this.#connection;
    const status = request === "commit" ? "committed" : "aborted";
    return this.#life.end(request === "commit", () =>
      wire.call(request, () => transactions.end(this.#ticket as ProducerTicket, status)),
    );
  }

  #request<T>(request: KafkaRequest, work: (ticket: ProducerTicket) => Promise<T>): Promise<T> {
    const { wire } = this.#connection;
    return this.#life.run("open", () =>
      wire.call(request, () => work(this.#ticket as ProducerTicket)),
    );
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
