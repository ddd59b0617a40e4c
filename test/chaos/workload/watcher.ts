// Another reader of the outputs, committed records only, from the first to the last moment. What it has seen must be what
// lies there in the end: a record of a transaction that was undone, or one that came twice, would show.
import { setTimeout as delay } from "node:timers/promises";
import { crc32 } from "node:zlib";
import type { KafkaPort } from "../../../src/engine/core/kafka.ts";
import { isRetriable } from "../../../src/engine/core/errors.ts";
import type { RawRecord } from "../../../src/engine/core/record.ts";
import type { AppFigures } from "../../support/app-figures.ts";
import { PARTITIONS } from "../../support/apps/chaos.ts";
import type { Findings } from "./findings.ts";
import { readTotal } from "./naive.ts";

const AGAIN_MS = 300;

/** Everything that was read of one partition, in one number. */
interface Trace {
  count: number;
  crc: number;
  nextOffset: bigint;
}

interface WatchedTopics {
  readonly clean: string;
  readonly totals: string;
  readonly fired: string;
  readonly pairs: string;
  readonly pauses: string;
}

export class Watcher {
  readonly #kafka: KafkaPort;
  readonly #topics: WatchedTopics;
  readonly #life = new AbortController();
  readonly #traces = new Map<string, Trace>();
  readonly #running: Promise<unknown>;
  readonly #orders = new Map<string, number>();
  readonly #findings: Findings;

  constructor(kafka: KafkaPort, topics: WatchedTopics, findings: Findings) {
    this.#kafka = kafka;
    this.#topics = topics;
    this.#findings = findings;
    const places = Object.values(topics).flatMap((topic) =>
      Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })),
    );
    this.#running = Promise.all(
      places.map(({ topic, partition }) => this.#follow(topic, partition)),
    );
  }

  /** Due entries whose results were seen so far. */
  get fired(): number {
    const places = Array.from(
      { length: PARTITIONS },
      (_, p) => `${this.#topics.fired}-${String(p)}`,
    );
    return places.reduce((sum, place) => sum + (this.#traces.get(place)?.count ?? 0), 0);
  }

  /** Ends it, and compares with what lies there. */
  async compare(figures: AppFigures): Promise<number> {
    let records = 0;
    for (const topic of Object.values(this.#topics)) {
      const found = Map.groupBy(await figures.raw(topic), ({ partition }) => partition);
      for (const [partition, all] of found) {
        const name = `${topic}-${String(partition)}`;
        const wanted = fresh();
        for (const record of all) add(wanted, record);
        const trace = this.#traces.get(name) ?? fresh();
        for (let i = 0; i < 100 && trace.count < wanted.count; i++) await delay(AGAIN_MS);
        const { count, crc } = trace;
        this.#findings.same([count, crc], [wanted.count, wanted.crc], `reader's view of ${name}`);
        records += count;
      }
    }
    this.#life.abort();
    await this.#running;
    return records;
  }

  async #follow(topic: string, partition: number): Promise<void> {
    const trace = fresh();
    this.#traces.set(`${topic}-${String(partition)}`, trace);
    while (!this.#life.signal.aborted) {
      const fromOffset = trace.nextOffset;
      const reader = this.#kafka.reader({ topic, partition, fromOffset, maxWaitMs: 500 });
      try {
        while (!this.#life.signal.aborted) {
          const { records, nextOffset } = await reader.read();
          for (const record of records) this.#take(record, trace);
          trace.nextOffset = nextOffset;
        }
      } catch (error) {
        if (!isRetriable(error)) this.#findings.fault(`reader of ${topic}: ${String(error)}`);
        // Its rejection says only that the run is over.
        await delay(AGAIN_MS, undefined, { signal: this.#life.signal }).catch(() => undefined);
      } finally {
        await reader.close().catch(() => undefined);
      }
    }
  }

  #take(record: RawRecord, trace: Trace): void {
    if (record.offset < trace.nextOffset) this.#findings.double(`offset ${String(record.offset)}`);
    add(trace, record);
    if (record.topic !== this.#topics.totals || record.value === null) return;
    const { shop, orders } = readTotal(record.value);
    const before = this.#orders.get(shop) ?? 0;
    if (orders !== before + 1)
      this.#findings.fault(`${shop} was seen at ${String(orders)} after ${String(before)}`);
    this.#orders.set(shop, orders);
  }
}

const fresh = (): Trace => ({ count: 0, crc: 0, nextOffset: 0n });

function add(trace: Trace, { offset, value }: RawRecord): void {
  trace.count++;
  trace.crc = crc32(String(offset), trace.crc);
  if (value !== null) trace.crc = crc32(value, trace.crc);
}
