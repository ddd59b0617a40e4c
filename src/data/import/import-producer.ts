// Sends the rows of a file exactly once: each batch is a transaction, which also commits the line behind it as progress of a
// group of the file's own. So the next command for the file knows, whatever has ended this one, what is in the topic.
import { createHash } from "node:crypto";
import { RecordsRefusedError, type RefusedRecord } from "../../engine/core/errors.ts";
import type { AdminPort, KafkaPort, TxProducer } from "../../engine/core/kafka.ts";
import type { TopicName } from "../../engine/core/record.ts";
import { withAdmin } from "../with-admin.ts";
import type { BatchProducer, LineRecord } from "../send.ts";

const TRANSACTION_MS = 30_000;
/** No progress, in Kafka's words. */
const NONE = -1n;

export interface ImportedFile {
  readonly topic: TopicName;
  readonly namespace: string;
  /** Null for standard input, of which nothing is remembered. */
  readonly path: string | null;
}

export class ImportProducer implements BatchProducer {
  readonly #file: ImportedFile;
  readonly #name: string;
  readonly #producer: TxProducer;

  constructor(kafka: Pick<KafkaPort, "txProducer">, file: ImportedFile) {
    this.#file = file;
    const { namespace, topic, path } = file;
    const of = createHash("sha256").update(path ?? String(process.pid));
    // At most 249 characters in all: topics have at most so many of their own.
    this.#name = `${namespace}produce.${topic.slice(0, 150)}.${of.digest("hex").slice(0, 12)}`;
    const transactionalId = this.#name;
    this.#producer = kafka.txProducer({ transactionalId, timeoutMs: TRANSACTION_MS });
  }

  /**
   * Ends what an earlier command for the file has left open; returns the first line that is not in the topic yet, null when no
   * import of the file is unfinished.
   */
  async begin(kafka: Pick<KafkaPort, "admin">): Promise<number | null> {
    await this.#producer.init();
    if (this.#file.path === null) return null;
    const read = (admin: AdminPort) => admin.committed(this.#name, [this.#at], { stable: true });
    const [progress] = await withAdmin(kafka, read);
    const nextOffset = progress?.nextOffset ?? null;
    return nextOffset === null ? null : Number(nextOffset);
  }

  /** Throws RecordsRefusedError when all records but the refused ones are in the topic. */
  async send(batch: readonly LineRecord[]): Promise<void> {
    let left = [...batch.entries()];
    const refused: RefusedRecord[] = [];
    for (;;) {
      const found = await this.#attempt(left.map(([, record]) => record));
      if (found.length === 0) break;
      await this.#producer.abort();
      const out = new Set(found.map(({ index }) => index));
      for (const one of found) refused.push({ ...one, index: left[one.index]?.[0] ?? 0 });
      left = left.filter((_, at) => !out.has(at));
    }
    await this.#commit(BigInt((batch.at(-1)?.line ?? 0) + 1));
    const [first, ...others] = refused;
    if (first !== undefined) throw new RecordsRefusedError([first, ...others]);
  }

  /** The file is in the topic as a whole: it may be sent again. */
  async finish(): Promise<void> {
    if (this.#file.path === null) return;
    this.#producer.begin();
    await this.#commit(NONE);
  }

  close(): Promise<void> {
    return this.#producer.close();
  }

  async #attempt(records: readonly LineRecord[]): Promise<readonly RefusedRecord[]> {
    this.#producer.begin();
    try {
      await this.#producer.send(records);
      return [];
    } catch (error) {
      if (error instanceof RecordsRefusedError) return error.refused;
      throw error;
    }
  }

  async #commit(nextOffset: bigint): Promise<void> {
    if (this.#file.path !== null) {
      const progress = [{ ...this.#at, nextOffset, metadata: "" }];
      const nobody = { group: this.#name, generationId: -1, memberId: "" };
      await this.#producer.sendOffsets(progress, nobody);
    }
    await this.#producer.commit();
  }

  get #at(): { readonly topic: TopicName; readonly partition: number } {
    return { topic: this.#file.topic, partition: 0 };
  }
}
