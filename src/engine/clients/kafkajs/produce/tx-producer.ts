// The transactional producer (KIP-98, KIP-447): one transaction at a time, in the old protocol that every supported
// broker speaks. An uncertain call is never repeated: the producer dies, and a new one of the same id fences it.
import type {
  GroupGeneration,
  Progress,
  SentBatch,
  TxProducer,
  TxProducerOptions,
} from "../../../core/kafka.ts";
import { assert, DependencyError } from "../../../core/errors.ts";
import { addressOf, type OutRecord, type TopicPartition } from "../../../core/record.ts";
import { TxLife } from "../../../core/mutex.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, checked, codes, translate, UnknownOutcome } from "../failures.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import { addPartitionsRequest } from "../protocol/add-partitions.ts";
import { txnOffsetCommitRequest } from "../protocol/offsets.ts";
import { Patience } from "./patience.ts";
import type { ProducerIdentity } from "../protocol/request.ts";
import { workOf, type Work } from "../rights.ts";
import { initSender, type Sender } from "./sender.ts";

export class KafkaTxProducer implements TxProducer {
  readonly #cluster: Cluster;
  readonly #options: TxProducerOptions;
  readonly #life = new TxLife();
  /** Null before init(). */
  #sender: Sender | null = null;
  /** Partitions and groups that the coordinator knows to be in this transaction. */
  readonly #enlisted = new Set<string>();

  readonly #fail = (error: unknown): never => {
    const { transactionalId } = this.#options;
    throw translate(error, { what: `transaction of ${transactionalId}`, transactionalId });
  };

  constructor(cluster: Cluster, options: TxProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  get state(): TxProducer["state"] {
    return this.#life.state;
  }

  init(): Promise<void> {
    const { transactionalId, timeoutMs } = this.#options;
    const init = async (): Promise<void> => {
      this.#sender = await this.#atTransactionCoordinator("init", true, (broker) =>
        initSender(this.#cluster, broker, transactionalId, timeoutMs),
      );
    };
    return this.#life.run("new", () => init().catch(this.#fail), "ready");
  }

  begin(): void {
    this.#life.begin();
    this.#enlisted.clear();
  }

  send(records: readonly OutRecord[]): Promise<readonly SentBatch[]> {
    return this.#inTransaction(async (sender) => {
      if (records.length === 0) return [];
      this.#cluster.want(new Set(records.map((record) => record.topic)));
      await this.#enlistPartitions(records, sender.identity);
      return sender.send(records, this.#options.timeoutMs);
    });
  }

  sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    return this.#inTransaction(async ({ identity }) => {
      await this.#enlistGroup(generation.group, identity);
      const request = txnOffsetCommitRequest(identity, generation, progress);
      const { group } = generation;
      const send = async (broker: DriverBroker): Promise<void> => {
        const answers = checked(await this.#cluster.send(broker, request));
        assert(answers.length === progress.length, "progress without an answer");
      };
      const { timeoutMs, transactionalId } = this.#options;
      const work = { what: `progress of ${group}`, group, transactionalId };
      await this.#cluster.retry(work, timeoutMs, () =>
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
    this.#life.close();
    await this.#cluster.close();
  }

  #end(isCommit: boolean): Promise<void> {
    const what = isCommit ? "commit" : "abort";
    const end = async (): Promise<void> => {
      if (this.#enlisted.size === 0) return;
      const identity = driverIdentity((this.#sender as Sender).identity);
      const request = { ...identity, transactionResult: isCommit };
      await this.#atTransactionCoordinator(what, false, (broker) =>
        this.#cluster.call(broker, "EndTxn", request),
      ).catch((error: unknown) => {
        throw isCommit ? unknownOutcome(error) : error;
      });
    };
    return this.#life.end(isCommit, () => end().catch(this.#fail));
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
      // The coordinator refuses partitions that do not exist; whether they do is found out before.
      const lost = partitions.find((at) => this.#cluster.leaderId(at) === null);
      const refusal =
        lost === undefined
          ? await this.#enlist(partitions, identity)
          : this.#cluster.leaderless(lost);
      if (refusal === null) break;
      await patience.after(refusal, `send to ${addressOf(refusal.at as TopicPartition)}`);
    }
    for (const address of missing.keys()) this.#enlisted.add(address);
  }

  /** Returns the refusal of a partition that the coordinator does not know: deleted since leaders were looked up. */
  #enlist(
    partitions: readonly TopicPartition[],
    identity: ProducerIdentity,
  ): Promise<BrokerRefusal | null> {
    const work = { what: "send, enlist partitions", right: "Write" } as const;
    return this.#atTransactionCoordinator(work, true, async (broker) => {
      const refused = await this.#cluster.send(broker, addPartitionsRequest(identity, partitions));
      const refusal = refused === null ? null : new BrokerRefusal(refused.code, refused);
      if (refusal === null || refusal.code === codes.unknownTopicOrPartition) return refusal;
      throw refusal;
    });
  }

  async #enlistGroup(group: string, identity: ProducerIdentity): Promise<void> {
    // No topic has a slash in its name.
    const key = `group/${group}`;
    if (this.#enlisted.has(key)) return;
    await this.#atTransactionCoordinator({ what: "enlist group", group }, false, (broker) =>
      this.#cluster.call(broker, "AddOffsetsToTxn", {
        ...driverIdentity(identity),
        groupId: group,
      }),
    );
    this.#enlisted.add(key);
  }

  #atTransactionCoordinator<T>(
    of: string | Work,
    isRepeatable: boolean,
    attempt: (broker: DriverBroker) => Promise<T>,
  ): Promise<T> {
    const { transactionalId: id, timeoutMs: deadlineMs } = this.#options;
    const work = workOf(of);
    const named = { ...work, what: `${work.what} (${id})`, transactionalId: id };
    return this.#cluster.retry(named, deadlineMs, () =>
      this.#cluster.atCoordinator("transaction", id, attempt, isRepeatable),
    );
  }

  #inTransaction<T>(work: (sender: Sender) => Promise<T>): Promise<T> {
    return this.#life.run("open", () => work(this.#sender as Sender).catch(this.#fail));
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
