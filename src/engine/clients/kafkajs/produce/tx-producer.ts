// The transactional producer (KIP-98, KIP-447): one transaction at a time, in the old protocol that every supported
// broker speaks. What is not certain is never repeated: the producer dies, and a new one of the same id fences it.
import type {
  GroupGeneration,
  Progress,
  SentBatch,
  TxProducer,
  TxProducerOptions,
} from "../../../core/kafka.ts";
import {
  assert,
  DependencyError,
  RecordsRefusedError,
  type MillraceError,
} from "../../../core/errors.ts";
import { addressOf, type OutRecord, type TopicPartition } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, checked, codes, translate, UnknownOutcome } from "../failures.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import { addPartitionsRequest, type RefusedPartition } from "../protocol/add-partitions.ts";
import { txnOffsetCommitRequest } from "../protocol/offsets.ts";
import { Patience } from "./patience.ts";
import type { ProducerIdentity } from "../protocol/request.ts";
import { initSender, type Sender } from "./sender.ts";

/** refused: dead, but for abort(). */
type TxState = TxProducer["state"] | "refused";

/**
 * new → init() → ready → begin() → open → commit() or abort() → ready. A failure anywhere → dead, for good; after a refusal
 * of records abort() alone is left.
 * Calls of one transaction are served one after another, in the order they were made.
 */
export class KafkaTxProducer implements TxProducer {
  readonly #cluster: Cluster;
  readonly #options: TxProducerOptions;
  #state: TxState = "new";
  /** Null before init(). */
  #sender: Sender | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: MillraceError | null = null;
  /** Partitions and groups that the coordinator knows to be in this transaction. */
  readonly #enlisted = new Set<string>();

  constructor(cluster: Cluster, options: TxProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  get state(): TxProducer["state"] {
    return this.#state === "refused" ? "dead" : this.#state;
  }

  init(): Promise<void> {
    return this.#exclusive("new", async () => {
      const { transactionalId, timeoutMs } = this.#options;
      this.#sender = await this.#atTransactionCoordinator("init", true, (broker) =>
        initSender(this.#cluster, broker, transactionalId, timeoutMs),
      );
      this.#state = "ready";
    });
  }

  begin(): void {
    assert(this.#state === "ready", `begin() of a producer that is ${this.#state}`);
    this.#enlisted.clear();
    this.#state = "open";
  }

  send(records: readonly OutRecord[]): Promise<readonly SentBatch[]> {
    return this.#exclusive("open", async (sender) => {
      if (records.length === 0) return [];
      this.#cluster.want(new Set(records.map((record) => record.topic)));
      await this.#enlistPartitions(records, sender.identity);
      return sender.send(records, this.#options.timeoutMs);
    });
  }

  sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    return this.#exclusive("open", async ({ identity }) => {
      await this.#enlistGroup(generation.group, identity);
      const request = txnOffsetCommitRequest(identity, generation, progress);
      const { group } = generation;
      const retry = { deadlineMs: this.#options.timeoutMs, what: `progress of ${group}` };
      const send = async (broker: DriverBroker): Promise<void> => {
        const answers = checked(await this.#cluster.send(broker, request));
        assert(answers.length === progress.length, "progress without an answer");
      };
      await this.#cluster.retry(retry, () =>
        this.#cluster.atCoordinator("group", group, send, false),
      );
    });
  }

  commit(): Promise<void> {
    return this.#end(true);
  }

  abort(): Promise<void> {
    return this.#end(false);
  }

  async close(): Promise<void> {
    this.#state = "dead";
    await this.#cluster.close();
  }

  #end(isCommit: boolean): Promise<void> {
    const what = isCommit ? "commit" : "abort";
    const from = !isCommit && this.#state === "refused" ? "refused" : "open";
    return this.#exclusive(from, async ({ identity }) => {
      if (this.#enlisted.size > 0)
        await this.#atTransactionCoordinator(what, false, (broker) =>
          this.#cluster.call(broker, "EndTxn", {
            ...driverIdentity(identity),
            transactionResult: isCommit,
          }),
        ).catch((error: unknown) => {
          throw isCommit ? unknownOutcome(error) : error;
        });
      this.#state = "ready";
    });
  }

  async #enlistPartitions(
    records: readonly OutRecord[],
    identity: ProducerIdentity,
  ): Promise<void> {
    const missing = new Map<string, TopicPartition>();
    for (const record of records) {
      const address = addressOf(record);
      if (!this.#enlisted.has(address)) missing.set(address, record);
    }
    if (missing.size === 0) return;
    const partitions = [...missing.values()];
    const patience = new Patience(this.#cluster, this.#options.timeoutMs);
    for (;;) {
      await this.#locate(partitions);
      const unknown = await this.#enlist(partitions, identity);
      if (unknown === null) break;
      // Deleted since leaders were looked up.
      await patience.after(
        new BrokerRefusal(unknown.code, unknown),
        `send to ${addressOf(unknown)}`,
      );
    }
    for (const address of missing.keys()) this.#enlisted.add(address);
  }

  /** Returns a partition that the coordinator does not know. */
  #enlist(
    partitions: readonly TopicPartition[],
    identity: ProducerIdentity,
  ): Promise<RefusedPartition | null> {
    return this.#atTransactionCoordinator("send, enlist partitions", true, async (broker) => {
      const refused = await this.#cluster.send(broker, addPartitionsRequest(identity, partitions));
      if (refused === null || refused.code === codes.unknownTopicOrPartition) return refused;
      throw new BrokerRefusal(refused.code, refused);
    });
  }

  /** The coordinator refuses partitions that do not exist; whether they do is found out before. */
  async #locate(partitions: readonly TopicPartition[]): Promise<void> {
    const patience = new Patience(this.#cluster, this.#options.timeoutMs);
    for (;;) {
      const lost = partitions.find((at) => this.#cluster.leaderId(at) === null);
      if (lost === undefined) return;
      await patience.after(this.#cluster.leaderless(lost), `send to ${addressOf(lost)}`);
    }
  }

  async #enlistGroup(group: string, identity: ProducerIdentity): Promise<void> {
    // No topic has a slash in its name.
    const key = `group/${group}`;
    if (this.#enlisted.has(key)) return;
    await this.#atTransactionCoordinator("enlist group", false, (broker) =>
      this.#cluster.call(broker, "AddOffsetsToTxn", {
        ...driverIdentity(identity),
        groupId: group,
      }),
    );
    this.#enlisted.add(key);
  }

  #atTransactionCoordinator<T>(
    what: string,
    isRepeatable: boolean,
    work: (broker: DriverBroker) => Promise<T>,
  ): Promise<T> {
    const { transactionalId: id, timeoutMs: deadlineMs } = this.#options;
    return this.#cluster.retry({ deadlineMs, what: `${what} (${id})` }, () =>
      this.#cluster.atCoordinator("transaction", id, work, isRepeatable),
    );
  }

  /** Serves one call at a time in the state it needs; any failure is the end of this producer. */
  #exclusive<T>(state: TxState, work: (sender: Sender) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(async () => {
      if (this.#state === "dead") throw this.#dead();
      if (this.#state === "refused" && state !== "refused") throw this.#dead();
      assert(this.#state === state, `a producer that is ${this.#state} must be ${state} for this`);
      try {
        return await work(this.#sender as Sender);
      } catch (error) {
        this.#state = error instanceof RecordsRefusedError ? "refused" : "dead";
        this.#failure = translate(error, `transaction of ${this.#options.transactionalId}`);
        throw this.#failure;
      }
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** What killed it, again; a new producer decides what became of the transaction. */
  #dead(): MillraceError {
    return (
      this.#failure ?? new DependencyError("MILL_KAFKA_UNAVAILABLE", "the producer was closed")
    );
  }
}

const driverIdentity = (identity: ProducerIdentity): object => ({
  transactionalId: identity.transactionalId,
  producerId: identity.producerId.toString(),
  producerEpoch: identity.epoch,
});

/** Only a commit whose answer was lost: a refusal says that it did not happen. */
function unknownOutcome(error: unknown): unknown {
  const isLost = error instanceof DependencyError && error.code === "MILL_KAFKA_UNAVAILABLE";
  return isLost || error instanceof UnknownOutcome
    ? new DependencyError("MILL_KAFKA_UNKNOWN_OUTCOME", "commit", { cause: error })
    : error;
}
