// Brokers that answer for whole batches, behind the sender of the real client: it finds which records are refused by what
// it is answered. They refuse what the case's policy says, take nothing of such a batch, want each batch's sequence, and
// at times a connection spoils what it carries, until there is a new one. What they take goes into the cluster in memory.
import { addressOf, type OutRecord } from "../../../../src/engine/core/record.ts";
import type {
  GroupGeneration,
  KafkaPort,
  PlainProducer,
  Progress,
  SentBatch,
  TxProducer,
  TxProducerOptions,
} from "../../../../src/engine/core/kafka.ts";
import type { Clock, Random } from "../../../../src/engine/core/ports.ts";
import { RecordsRefusedError } from "../../../../src/engine/core/errors.ts";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { Sender } from "../../../../src/engine/clients/kafkajs/produce/sender.ts";
import type { ProduceAnswer } from "../../../../src/engine/clients/kafkajs/protocol/produce.ts";
import { decodeRecordSet } from "../../record-sets.ts";
import type { ProtocolRequest } from "../../../../src/engine/clients/kafkajs/protocol/request.ts";
import { WireReader } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";
import type { WorkerSwitch } from "../../../../src/engine/testing/doubles/worker-switch.ts";
import { CODES, refusalName, type Code, type Policy, type Refusal } from "../refusals.ts";

/** The surroundings of one worker's connections. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly worker: WorkerSwitch;
  readonly policy: Policy;
  /** Told of each answer. */
  readonly count: (what: string) => void;
  /** The way of a request of which the cluster takes nothing; rejects when it is lost. */
  readonly passed: (request: "send" | "produce") => Promise<void>;
}

type Write = (records: readonly OutRecord[]) => Promise<readonly SentBatch[]>;

interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly sequence: number;
  readonly records: readonly OutRecord[];
}

/** Null where the batch can be taken. */
type Verdict = Pick<ProduceAnswer, "errorCode" | "refused"> | null;

const OUT_OF_ORDER: Verdict = { errorCode: 45, refused: [] };
const SPOILT: Verdict = { errorCode: CODES.CORRUPT_MESSAGE, refused: [] };
/** A request is spoilt this often, and the next one on another connection; the third never is. */
const SPOILT_SHARES = [0.12, 0.4, 0];
const TIMEOUT_MS = 1_500;

/** The leader of everything, as one sender's client reaches it. */
class Leader {
  readonly id = 1;
  readonly #of: Surroundings;
  readonly #request: "send" | "produce";
  readonly #write: Write;
  readonly #sequences = new Map<string, number>();
  #isBad = false;
  #spoilt = 0;
  #hasFailed = false;
  #untilMs = Infinity;

  constructor(of: Surroundings, request: "send" | "produce", write: Write) {
    this.#of = of;
    this.#request = request;
    this.#write = write;
  }

  /** The sender's patience is measured in real time, and this in the simulation's. */
  begin(): void {
    this.#untilMs = this.#of.clock.now() + TIMEOUT_MS;
  }

  get isClosed(): boolean {
    return this.#hasFailed || this.#of.clock.now() > this.#untilMs;
  }

  refresh = (): Promise<void> => Promise.resolve();
  refreshIfOld = (): Promise<void> => Promise.resolve();
  leaderId = (): number => this.id;
  broker = (): Promise<Leader> => Promise.resolve(this);

  async pause(ms: number): Promise<void> {
    await this.#of.clock.sleep(ms);
    await this.#of.worker.passed();
  }

  disconnect(): Promise<void> {
    this.#isBad = false;
    return Promise.resolve();
  }

  async send(_: unknown, request: ProtocolRequest<ProduceAnswer[]>): Promise<ProduceAnswer[]> {
    try {
      return await this.#answered(await batchesOf(request));
    } catch (error) {
      // The cluster in memory tells no more of a producer that has failed.
      this.#hasFailed = true;
      throw error;
    }
  }

  async #answered(batches: readonly Batch[]): Promise<ProduceAnswer[]> {
    const isSpoilt = this.#isSpoilt();
    const judged = batches.map((batch) => ({
      batch,
      verdict: isSpoilt ? SPOILT : this.#verdictOn(batch),
    }));
    const taken = judged.flatMap(({ batch, verdict }) => (verdict === null ? [batch] : []));
    const records = taken.flatMap((batch) => batch.records);
    const sent = records.length > 0 ? await this.#write(records) : [];
    if (records.length === 0) await this.#of.passed(this.#request);
    for (const batch of taken) this.#took(batch);
    return judged.map(({ batch, verdict }) => answerTo(batch, verdict, sent));
  }

  /** On a bad connection everything is, until it is given up. */
  #isSpoilt(): boolean {
    this.#isBad ||= this.#of.random.next() < (SPOILT_SHARES[this.#spoilt] ?? 0);
    this.#spoilt = this.#isBad ? this.#spoilt + 1 : 0;
    if (this.#isBad) this.#of.count("spoilt request");
    return this.#isBad;
  }

  #verdictOn(batch: Batch): Verdict {
    if (batch.sequence !== (this.#sequences.get(addressOf(batch)) ?? 0)) return OUT_OF_ORDER;
    const refusals = batch.records.map((record) => this.#of.policy.refusalOf(record));
    const first = refusals.find((refusal) => refusal !== null);
    return first ? this.#refusedFor(first.code, batch, refusals) : null;
  }

  #refusedFor(code: Code, batch: Batch, refusals: readonly (Refusal | null)[]): Verdict {
    const { policy } = this.#of;
    const refused = refusals.flatMap((refusal, batchIndex) =>
      refusal?.code === code ? [{ batchIndex, words: null, refusal }] : [],
    );
    const isNamed = policy.names(code);
    if (isNamed) this.#of.count("refused by name");
    if (batch.records.length > 1) this.#of.count("refused in a batch");
    if (isNamed || batch.records.length === 1)
      for (const { batchIndex, refusal } of refused)
        this.#refuse(batch.records[batchIndex], refusal);
    return { errorCode: CODES[code], refused: isNamed ? refused : [] };
  }

  #refuse(record: OutRecord | undefined, refusal: Refusal): void {
    if (record !== undefined) this.#of.policy.refused(record, refusal);
    this.#of.count(refusalName(refusal));
  }

  #took(batch: Batch): void {
    this.#sequences.set(addressOf(batch), batch.sequence + batch.records.length);
    for (const record of batch.records) this.#of.policy.taken(record);
  }
}

function answerTo(
  { topic, partition }: Batch,
  verdict: Verdict,
  sent: readonly SentBatch[],
): ProduceAnswer {
  const lies = sent.find((one) => one.topic === topic && one.partition === partition);
  const { baseOffset = null, appendTimeMs = null } = lies ?? {};
  const { errorCode, refused } = verdict ?? { errorCode: 0, refused: [] };
  return { topic, partition, errorCode, baseOffset, appendTimeMs, refused, errorMessage: null };
}

async function batchesOf({ request }: ProtocolRequest<unknown>): Promise<Batch[]> {
  const reader = new WireReader(Buffer.from((await request.encode()).buf));
  reader.string();
  reader.int16();
  reader.int32();
  const topics = reader.array(() => {
    const topic = reader.string() ?? "";
    return reader.array((): Batch => {
      const partition = reader.int32();
      const recordSet = reader.bytes();
      const set = { topic, partition, fetchedOffset: 0n, recordSet, aborted: [] };
      const { records } = decodeRecordSet(set);
      return { topic, partition, sequence: recordSet.readInt32BE(53), records };
    });
  });
  return topics.flat();
}

const identity = { producerId: 1n, epoch: 0 };

/** As the client's: dead after any failure, but for abort() after a refusal of records. */
class RefusedTxProducer implements TxProducer {
  readonly #inner: TxProducer;
  readonly #leader: Leader;
  readonly #sender: Sender;
  #failure: Error | null = null;

  constructor(inner: TxProducer, of: Surroundings, transactionalId: string) {
    this.#inner = inner;
    this.#leader = new Leader(of, "send", (records) => inner.send(records));
    const cluster = this.#leader as unknown as Cluster;
    this.#sender = new Sender(cluster, { ...identity, transactionalId });
  }

  get state(): TxProducer["state"] {
    return this.#failure === null ? this.#inner.state : "dead";
  }

  init = (): Promise<void> => this.#inner.init();
  begin = (): void => this.#inner.begin();
  close = (): Promise<void> => this.#inner.close();

  async send(records: readonly OutRecord[]): Promise<readonly SentBatch[]> {
    this.#check();
    if (records.length === 0) return this.#inner.send(records);
    try {
      this.#leader.begin();
      return await this.#sender.send(records, Infinity);
    } catch (error) {
      this.#failure = error as Error;
      throw error;
    }
  }

  async sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    this.#check();
    return this.#inner.sendOffsets(progress, generation);
  }

  async commit(): Promise<void> {
    this.#check();
    return this.#inner.commit();
  }

  async abort(): Promise<void> {
    if (!(this.#failure instanceof RecordsRefusedError)) this.#check();
    await this.#inner.abort();
    this.#failure = null;
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

/** One send after another; after a failure the next one begins under a new identity. */
class RefusedProducer implements PlainProducer {
  readonly #inner: PlainProducer;
  readonly #of: Surroundings;
  #line: { readonly leader: Leader; readonly sender: Sender } | null = null;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(inner: PlainProducer, of: Surroundings) {
    this.#inner = inner;
    this.#of = of;
  }

  send(records: readonly OutRecord[]): Promise<void> {
    const turn = this.#tail.then(() => this.#send(records));
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  close = (): Promise<void> => this.#inner.close();

  async #send(records: readonly OutRecord[]): Promise<void> {
    const { leader, sender } = (this.#line ??= this.#begun());
    try {
      leader.begin();
      await sender.send(records, Infinity);
    } catch (error) {
      if (!(error instanceof RecordsRefusedError)) this.#line = null;
      throw error;
    }
  }

  #begun(): { leader: Leader; sender: Sender } {
    const write: Write = (records) => this.#inner.send(records).then(() => []);
    const leader = new Leader(this.#of, "produce", write);
    const cluster = leader as unknown as Cluster;
    return { leader, sender: new Sender(cluster, { ...identity, transactionalId: null }) };
  }
}

/** The port of a worker whose brokers may refuse. */
export function refusing(port: KafkaPort, of: Surroundings): KafkaPort {
  return {
    consumer: (options) => port.consumer(options),
    admin: () => port.admin(),
    reader: (options) => port.reader(options),
    close: () => port.close(),
    producer: () => new RefusedProducer(port.producer(), of),
    txProducer: (options: TxProducerOptions) =>
      new RefusedTxProducer(port.txProducer(options), of, options.transactionalId),
  };
}
