// The idempotent producer without transactions: dead letters, hints, tools. A send that failed may have written some of
// its records; the next one begins under a new producer id, so nothing of it is doubled or refused.
import { RecordsRefusedError } from "../../../core/errors.ts";
import type { PlainProducer } from "../../../core/kafka.ts";
import { Mutex } from "../../../core/mutex.ts";
import { translate } from "../failures.ts";
import type { OutRecord } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { initSender, type Sender } from "./sender.ts";

export class KafkaPlainProducer implements PlainProducer {
  readonly #cluster: Cluster;
  readonly #deadlineMs: number;
  #sender: Sender | null = null;
  readonly #turns = new Mutex();

  constructor(cluster: Cluster, deadlineMs: number) {
    this.#cluster = cluster;
    this.#deadlineMs = deadlineMs;
  }

  send(records: readonly OutRecord[]): Promise<void> {
    return this.#turns.run(() => this.#send(records));
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }

  async #send(records: readonly OutRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.#cluster.want(new Set(records.map((record) => record.topic)));
    try {
      this.#sender ??= await this.#init();
      await this.#sender.send(records, this.#deadlineMs);
    } catch (error) {
      // A refusal of records says where all others are: the sender's state is right.
      if (!(error instanceof RecordsRefusedError)) this.#sender = null;
      throw translate(error, { what: "send", right: "Write" });
    }
  }

  #init(): Promise<Sender> {
    const deadlineMs = this.#deadlineMs;
    return this.#cluster.retry("init producer", deadlineMs, async () =>
      initSender(this.#cluster, await this.#cluster.anyBroker(), null, deadlineMs),
    );
  }
}
