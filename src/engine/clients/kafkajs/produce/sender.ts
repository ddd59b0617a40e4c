// Sends records under one producer id, exactly once per call that resolves: partitions are fixed, a batch keeps its
// bytes and sequence until it is acknowledged, a partition has at most one batch on its way, and nothing resolves
// before every batch has its own acknowledgement. After a failure the sender must not be used again.
import type { SentBatch } from "../../../core/kafka.ts";
import { addressOf, type OutRecord, type TopicPartition } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, codes, isTransientCode, translate } from "../failures.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import type { ProducerIdentity } from "../protocol/request.ts";
import { encodeRecordBatch } from "../protocol/records/record-batch-encode.ts";
import { produceRequest, type ProduceAnswer } from "../protocol/produce.ts";
import { chunkBytesMax, chunksOf, type PartitionQueue } from "./chunks.ts";
import { Patience } from "./patience.ts";
import { Verdicts } from "./verdict.ts";

type Queues = Map<string, PartitionQueue>;

interface PendingBatch extends TopicPartition {
  readonly address: string;
  readonly count: number;
  readonly bytes: Buffer;
}

/** A send on its way. */
interface SendWork {
  readonly queues: Queues;
  readonly pending: Map<string, PendingBatch>;
  readonly sent: SentBatch[];
  readonly verdicts: Verdicts;
}

const sequenceRange = 2 ** 31;
/** Brokers stop waiting for replicas before our connection stops waiting for them. */
const replicaTimeoutMs = 8_000;

export class Sender {
  readonly identity: ProducerIdentity;
  readonly #cluster: Cluster;
  readonly #sequences = new Map<string, number>();
  /** Sizes of batches that topics take, where a larger one was refused. */
  readonly #limits = new Map<string, number>();

  constructor(cluster: Cluster, identity: ProducerIdentity) {
    this.#cluster = cluster;
    this.identity = identity;
  }

  /**
   * Resolves when all are acknowledged; throws ours when the deadline passes, or the topic is refused. A record that is
   * refused for what it is delays no other: it is thrown when all else is acknowledged (RecordsRefusedError).
   */
  async send(records: readonly OutRecord[], deadlineMs: number): Promise<SentBatch[]> {
    const queues = chunksOf(records, (topic) => this.#limits.get(topic) ?? chunkBytesMax);
    const sent: SentBatch[] = [];
    const pending = new Map<string, PendingBatch>();
    const verdicts = new Verdicts(this.#limits);
    const patience = new Patience(this.#cluster, deadlineMs);
    while (queues.size > 0) {
      this.#fill(queues, pending);
      const failure = await this.#round({ queues, pending, sent, verdicts });
      if (failure === null) patience.renew();
      else await patience.after(failure, `send to ${namesOf(failure, queues)}`);
    }
    verdicts.check(records);
    return sent;
  }

  /** Encodes the head of each queue that has no batch on its way; it keeps this sequence until acknowledged. */
  #fill(queues: ReadonlyMap<string, PartitionQueue>, pending: Map<string, PendingBatch>): void {
    for (const [address, { topic, partition, chunks }] of queues) {
      const head = chunks[0];
      if (pending.has(address) || head === undefined) continue;
      const firstSequence = this.#sequences.get(address) ?? 0;
      const bytes = encodeRecordBatch(head, { ...this.identity, firstSequence });
      pending.set(address, { address, topic, partition, count: head.length, bytes });
    }
  }

  /** Sends one Produce to each leader. Takes acknowledged chunks off the queues; returns a failure worth repeating. */
  async #round(work: SendWork): Promise<unknown> {
    const { pending } = work;
    await this.#cluster.refreshIfOld();
    let failure: unknown = null;
    const byLeader = Map.groupBy(pending.values(), (batch) => this.#cluster.leaderId(batch));
    const [homeless] = byLeader.get(null) ?? [];
    if (homeless !== undefined) failure = this.#cluster.leaderless(homeless);
    byLeader.delete(null);
    const produced = await Promise.allSettled(
      [...byLeader].map(([leader, batches]) => this.#produce(leader as number, batches)),
    );
    const answers: ProduceAnswer[] = [];
    for (const result of produced) {
      if (result.status === "fulfilled") answers.push(...result.value);
      else failure = result.reason;
    }
    for (const answer of answers) failure = this.#take(answer, work) ?? failure;
    // A batch that is still pending without a reason was left out of an answer.
    if (failure === null && pending.size > 0) failure = new BrokerRefusal(codes.networkException);
    return failure;
  }

  async #produce(leader: number, batches: readonly PendingBatch[]): Promise<ProduceAnswer[]> {
    const broker = await this.#cluster.broker(leader);
    const { transactionalId } = this.identity;
    const request = produceRequest(transactionalId, batches, replicaTimeoutMs);
    const answers = await this.#cluster.send(broker, request);
    // The cause of spoilt bytes may be the connection: the next attempt has a new one.
    if (answers.some(({ errorCode }) => errorCode === codes.corruptMessage))
      // mistake: bad connection kept
      await broker.disconnect().catch(() => undefined);
    return answers;
  }

  /** Takes an acknowledged batch off its queue; returns a failure worth repeating. */
  #take(answer: ProduceAnswer, { queues, pending, sent, verdicts }: SendWork): unknown {
    const address = addressOf(answer);
    const batch = pending.get(address);
    const queue = queues.get(address);
    if (batch === undefined || queue === undefined) return null;
    const { errorCode } = answer;
    // A duplicate is a batch whose first acknowledgement was lost.
    const isTaken = errorCode === 0 || errorCode === codes.duplicateSequence;
    if (!verdicts.takes(answer, queue) && !isTaken) {
      const refusal = new BrokerRefusal(errorCode, answer);
      if (!isTransientCode(errorCode))
        throw translate(refusal, { what: `send to ${address}`, right: "Write" });
      return refusal;
    }
    // mistake: refused batch numbered
    pending.delete(address);
    // A batch that was refused has used no sequence number.
    if (isTaken) {
      const sequence = (this.#sequences.get(address) ?? 0) + batch.count;
      this.#sequences.set(address, sequence % sequenceRange);
      queue.chunks.shift();
      sent.push(sentBatch(batch, answer));
    }
    if (queue.chunks.length === 0) queues.delete(address);
    return null;
  }
}

/** The partition that failed, or all that are left. */
const namesOf = (failure: unknown, queues: Queues): string =>
  failure instanceof BrokerRefusal && failure.at !== null
    ? addressOf(failure.at)
    : [...queues.keys()].join(", ");

const sentBatch = (
  { topic, partition, count }: PendingBatch,
  { errorCode, baseOffset, appendTimeMs }: ProduceAnswer,
): SentBatch => {
  const offset = errorCode === 0 ? baseOffset : null;
  return { topic, partition, count, baseOffset: offset, appendTimeMs };
};

/** A sender under a new producer id, or a new epoch of the transactional id's. */
export async function initSender(
  cluster: Cluster,
  broker: DriverBroker,
  transactionalId: string | null,
  transactionTimeout: number,
): Promise<Sender> {
  const answer = await cluster.call<{ producerId: string; producerEpoch: number }>(
    broker,
    "InitProducerId",
    { transactionalId, transactionTimeout },
  );
  const { producerEpoch: epoch } = answer;
  return new Sender(cluster, { producerId: BigInt(answer.producerId), epoch, transactionalId });
}
