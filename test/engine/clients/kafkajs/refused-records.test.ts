// Records that a broker refuses: found where it names none, and what it cannot be made to answer on demand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordsRefusedError } from "../../../../src/engine/core/errors.ts";
import type { OutRecord } from "../../../../src/engine/core/record.ts";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { Sender } from "../../../../src/engine/clients/kafkajs/produce/sender.ts";
import type { ProduceAnswer } from "../../../../src/engine/clients/kafkajs/protocol/produce.ts";
import { decodeRecordSet } from "../../../support/record-sets.ts";
import type { ProtocolRequest } from "../../../../src/engine/clients/kafkajs/protocol/request.ts";
import { WireReader } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";
import { loadDriver } from "../../../../src/engine/clients/kafkajs/overrides/driver.ts";
import { record } from "../../../support/kafka.ts";

loadDriver();

type Judge = (values: readonly string[]) => Partial<ProduceAnswer> & { errorCode: number };

/** A broker whose answers a test writes; it keeps what it took, and each first sequence. */
class Broker {
  readonly isClosed = false;
  readonly taken: string[] = [];
  readonly sequences: number[] = [];
  batches = 0;
  connections = 0;
  readonly #judge: Judge;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  refreshIfOld = (): Promise<void> => Promise.resolve();
  refresh = (): Promise<void> => Promise.resolve();
  pause = (): Promise<void> => Promise.resolve();
  leaderId = (): number => 1;
  broker = () =>
    Promise.resolve({ disconnect: () => Promise.resolve(void this.connections++), id: 1 });

  async send(_: unknown, request: ProtocolRequest<ProduceAnswer[]>): Promise<ProduceAnswer[]> {
    const { buf } = await request.request.encode();
    const reader = new WireReader(buf);
    reader.string();
    reader.int16();
    reader.int32();
    const answers = reader.array(() => {
      const topic = reader.string() ?? "";
      return reader.array((): ProduceAnswer => {
        const partition = reader.int32();
        return { ...this.#answer(reader.bytes()), topic, partition };
      });
    });
    return answers.flat();
  }

  #answer(recordSet: Buffer): Omit<ProduceAnswer, "topic" | "partition"> {
    this.batches++;
    const sequence = recordSet.readInt32BE(53);
    const fetched = { topic: "t", partition: 0, fetchedOffset: 0n, aborted: [] };
    const { records } = decodeRecordSet({ ...fetched, recordSet: Buffer.from(recordSet) });
    const values = records.map(({ value }) => String(value));
    const verdict = this.#judge(values);
    if (verdict.errorCode === 0) {
      this.taken.push(...values);
      this.sequences.push(sequence);
    }
    return { baseOffset: null, appendTimeMs: null, refused: [], errorMessage: null, ...verdict };
  }
}

const identity = { producerId: 1n, epoch: 0, transactionalId: null };
const records = (values: readonly string[]): OutRecord[] =>
  values.map((value) => record("t", value));

async function refusedBy(broker: Broker, sent: readonly OutRecord[]) {
  const sender = new Sender(broker as unknown as Cluster, identity);
  const error: unknown = await sender.send(sent, 5_000).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RecordsRefusedError, String(error));
  return error;
}

const values = Array.from({ length: 50 }, (_, i) =>
  i % 17 === 5 ? `bad ${String(i)}` : String(i),
);
const bad = values.flatMap((value, index) => (value.startsWith("bad") ? [index] : []));

for (const [code, name] of [
  [10, "MESSAGE_TOO_LARGE"],
  [18, "RECORD_LIST_TOO_LARGE"],
  [32, "INVALID_TIMESTAMP"],
  [44, "POLICY_VIOLATION"],
  [87, "INVALID_RECORD"],
] as const)
  test(`where the broker names no record, ${name} is found by halving`, async () => {
    const broker = new Broker((batch) => ({
      errorCode: batch.some((value) => value.startsWith("bad")) ? code : 0,
    }));
    const { refused } = await refusedBy(broker, records(values));
    assert.deepEqual(
      refused.map(({ index, code: why }) => [index, why]),
      bad.map((index) => [index, name]),
    );
    assert.deepEqual(
      broker.taken,
      values.filter((value) => !value.startsWith("bad")),
    );
    // A refused batch uses no sequence number, so what is taken is numbered without a gap.
    assert.equal(broker.sequences[0], 0);
    assert.ok(broker.batches < 40, String(broker.batches));
  });

test("of a batch too large the halves are as many as the topic needs, and no record is refused", async () => {
  const broker = new Broker((batch) => ({ errorCode: batch.length > 7 ? 10 : 0 }));
  const sender = new Sender(broker as unknown as Cluster, identity);
  await sender.send(records(values), 5_000);
  assert.deepEqual(broker.taken, values);
  const tries = broker.batches;
  await sender.send(records(values), 5_000);
  assert.ok(broker.batches - tries < tries, "it remembers what the topic takes");
});

test("records that the broker names are refused at once, in its own words", async () => {
  const broker = new Broker((batch) => {
    const named = batch.flatMap((value, batchIndex) =>
      value.startsWith("bad")
        ? [{ batchIndex, words: "Timestamp 5 of message with offset 0 is out of range. The" }]
        : [],
    );
    return { errorCode: named.length > 0 ? 32 : 0, refused: named };
  });
  const { refused, message } = await refusedBy(broker, records(values));
  assert.deepEqual(
    refused.map(({ index }) => index),
    bad,
  );
  assert.match(message, /t-0: INVALID_TIMESTAMP, "Timestamp 5 of message.*", and 2 more/);
  assert.equal(broker.batches, 2);
});

test("words of a plug-in may quote the record, so they are left out", async () => {
  const broker = new Broker((batch) => ({
    errorCode: batch[0] === "bad" ? 87 : 0,
    errorMessage: "the value bad is not allowed",
  }));
  const { message, refused } = await refusedBy(broker, records(["bad"]));
  assert.equal(refused[0]?.words, null);
  assert.doesNotMatch(message, /bad/);
});

test("a checksum that fails once is the network's doing; one that fails alone on new connections is the record's", async () => {
  let failures = 1;
  const passing = new Broker(() => ({ errorCode: failures-- > 0 ? 2 : 0 }));
  await new Sender(passing as unknown as Cluster, identity).send(records(["a", "b"]), 5_000);
  assert.deepEqual([passing.taken, passing.connections], [["a", "b"], 1]);

  const failing = new Broker((batch) => ({ errorCode: batch.includes("bad") ? 2 : 0 }));
  const { refused } = await refusedBy(failing, records(["a", "bad", "b"]));
  assert.deepEqual(
    refused.map(({ index, code }) => [index, code]),
    [[1, "CORRUPT_MESSAGE"]],
  );
  assert.deepEqual(failing.taken, ["a", "b"]);
  assert.ok(failing.connections >= 6);
});

test("checksums that fail now and then are not added up: each batch is tried for itself", async () => {
  const large = ["a", "b", "c", "d"].map((name) => name.repeat(500_000));
  const seen = new Set<string>();
  const broker = new Broker(([first = ""]) => {
    const isNew = !seen.has(first);
    seen.add(first);
    return { errorCode: isNew ? 2 : 0 };
  });
  await new Sender(broker as unknown as Cluster, identity).send(records(large), 5_000);
  assert.deepEqual(broker.taken, large);

  const answers = [2, 6, 2, 6, 2, 0];
  const moving = new Broker(() => ({ errorCode: answers.shift() ?? 0 }));
  await new Sender(moving as unknown as Cluster, identity).send(records(["a"]), 5_000);
  assert.deepEqual(moving.taken, ["a"]);
});
