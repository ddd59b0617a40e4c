// Corrections of an output topic: for each key whose last value differs, the run's value is appended, or a
// tombstone where the run has none. In transactions of one producer, so that an earlier try is ended before; what it has
// appended does not differ any more. Works partition by partition, with a digest a key in memory.
import { createHash } from "node:crypto";
import type { TxProducer } from "../../core/kafka.ts";
import type { Plan, PlanTopic } from "../../core/plan.ts";
import { readTopic } from "../../core/read-range.ts";
import type { RawRecord, TopicName } from "../../core/record.ts";
import { BatchWriter } from "../../letters/commands/operator.ts";
import { copied } from "../../letters/read-letters.ts";
import type { RunRow } from "../words/run.ts";
import type { PromotePorts } from "./ports.ts";

const TIMEOUT_MS = 60_000;

export interface Corrected {
  readonly sent: number;
  /** Keys that only live has, in a run that did not begin with the first record: they may be older than it. */
  readonly left: number;
}

/** Neither pipeline moves meanwhile. */
export async function emitCorrections(
  { plan, shadow, row }: { readonly plan: Plan; readonly shadow: Plan; readonly row: RunRow },
  ports: PromotePorts,
): Promise<Corrected> {
  const isWhole = row.range.places.every(({ from }) => from === 0n);
  const id = `${plan.namespace}millrace-promote-${plan.pipeline}`;
  const producer = ports.kafka.txProducer({ transactionalId: id, timeoutMs: TIMEOUT_MS });
  const total = { sent: 0, left: 0 };
  try {
    await producer.init();
    const records = new Records(ports);
    for (const outputs of outputsOf(plan, shadow))
      for (let partition = 0; partition < outputs.live.partitions; partition++) {
        const { sent, left } = await correct(outputs, partition, isWhole, records, producer);
        total.sent += sent;
        total.left += left;
      }
  } finally {
    await producer.close();
  }
  return total;
}

interface Outputs {
  readonly live: PlanTopic;
  readonly made: PlanTopic;
}

/** The topics that the pipeline writes, beside the run's. */
function outputsOf(plan: Plan, shadow: Plan): readonly Outputs[] {
  return plan.topics.output.flatMap((live, i) => {
    const made = shadow.topics.output[i];
    return made === undefined ? [] : [{ live, made }];
  });
}

async function correct(
  { live, made }: Outputs,
  partition: number,
  isWhole: boolean,
  records: Records,
  producer: TxProducer,
): Promise<Corrected> {
  const has = await records.last(live.name, partition);
  const should = await records.last(made.name, partition);
  const wanted = new Set(
    [...should]
      .filter(([key, { digest }]) => (has.get(key)?.digest ?? null) !== digest)
      .map(([, { offset }]) => offset),
  );
  const gone = [...has].filter(([key, { digest }]) => digest !== null && !should.has(key));
  const batch = new BatchWriter(producer);
  for await (const raw of records.of(made.name, partition))
    if (wanted.has(raw.offset)) {
      const { key, value, headers, timestamp } = copied(raw);
      await batch.add({ topic: live.name, partition, key, value, headers, timestamp });
    }
  if (isWhole)
    for (const [key, { timestamp }] of gone)
      await batch.add({
        topic: live.name,
        partition,
        key: Buffer.from(key, "latin1"),
        value: null,
        headers: [],
        timestamp,
      });
  await batch.end();
  return { sent: batch.written, left: isWhole ? 0 : gone.length };
}

interface Last {
  /** Null: deleted. */
  readonly digest: string | null;
  readonly offset: bigint;
  readonly timestamp: number;
}

/** Values of one schema are the same under whatever id it is registered for a topic. */
class Records {
  readonly #ports: PromotePorts;
  readonly #schemas = new Map<number, string>();

  constructor(ports: PromotePorts) {
    this.#ports = ports;
  }

  of(topic: TopicName, partition: number): AsyncIterable<RawRecord> {
    return readTopic(topic, this.#ports, partition);
  }

  /** The last record of each key. Records without a key take no one's place. */
  async last(topic: TopicName, partition: number): Promise<ReadonlyMap<string, Last>> {
    const last = new Map<string, Last>();
    for await (const { key, value, offset, timestamp } of this.of(topic, partition)) {
      if (key === null) continue;
      const digest = value === null ? null : await this.#digestOf(value);
      last.set(key.toString("latin1"), { digest, offset, timestamp });
    }
    return last;
  }

  async #digestOf(value: Buffer): Promise<string> {
    const hash = createHash("sha256");
    if (value.length >= 5 && value[0] === 0)
      return hash
        .update(await this.#schema(value.readInt32BE(1)))
        .update(value.subarray(5))
        .digest("base64");
    return hash.update(value).digest("base64");
  }

  async #schema(id: number): Promise<string> {
    const known = this.#schemas.get(id);
    if (known !== undefined) return known;
    const text = (await this.#ports.registry.schemaById(id)) ?? `unknown ${String(id)}`;
    this.#schemas.set(id, text);
    return text;
  }
}
