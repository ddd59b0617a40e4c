// What one broker cannot show: a leader that moves to a broker which has acknowledged another partition of the same send.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { Sender } from "../../../../src/engine/clients/kafkajs/produce/sender.ts";
import type { ProduceAnswer } from "../../../../src/engine/clients/kafkajs/protocol/produce.ts";
import type { ProtocolRequest } from "../../../../src/engine/clients/kafkajs/protocol/request.ts";
import { WireReader } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";
import { loadDriver } from "../../../../src/engine/clients/kafkajs/overrides/driver.ts";
import { record } from "../../../support/kafka.ts";

loadDriver();
/** NOT_LEADER_OR_FOLLOWER. */
const NOT_LEADER = 6;

/** The partitions of a Produce request, version 8. */
async function partitionsOf(request: ProtocolRequest<unknown>): Promise<number[]> {
  const { buf } = await request.request.encode();
  const reader = new WireReader(buf);
  reader.string();
  reader.int16();
  reader.int32();
  const topics = reader.array(() => {
    reader.string();
    return reader.array(() => {
      const partition = reader.int32();
      reader.at += 4 + buf.readInt32BE(reader.at);
      return partition;
    });
  });
  return topics.flat();
}

class TwoBrokers {
  readonly isClosed = false;
  readonly asked: string[] = [];
  readonly #leaders = new Map([
    [0, 1],
    [1, 2],
  ]);
  #offset = 10n;

  refreshIfOld = (): Promise<void> => Promise.resolve();
  pause = (): Promise<void> => Promise.resolve();
  leaderId = ({ partition }: { partition: number }): number => this.#leaders.get(partition) ?? 0;
  broker = (id: number) => Promise.resolve({ id });

  refresh(): Promise<void> {
    this.#leaders.set(1, 1);
    return Promise.resolve();
  }

  async send(
    { id }: { id: number },
    request: ProtocolRequest<ProduceAnswer[]>,
  ): Promise<ProduceAnswer[]> {
    const partitions = await partitionsOf(request);
    this.asked.push(`${String(id)}: ${partitions.join()}`);
    return partitions.map((partition): ProduceAnswer => {
      const errorCode = this.#leaders.get(partition) === id && id !== 2 ? 0 : NOT_LEADER;
      const baseOffset = errorCode === 0 ? this.#offset++ : null;
      return {
        topic: "t",
        partition,
        errorCode,
        baseOffset,
        appendTimeMs: null,
        refused: [],
        errorMessage: null,
      };
    });
  }
}

test("a partition whose leader has moved to a broker that answered already is sent there too", async () => {
  const cluster = new TwoBrokers();
  const identity = { producerId: 1n, epoch: 0, transactionalId: "tx" };
  const sender = new Sender(cluster as unknown as Cluster, identity);
  const sent = await sender.send([record("t", "a"), record("t", "b", { partition: 1 })], 5_000);
  assert.deepEqual(cluster.asked, ["1: 0", "2: 1", "1: 1"]);
  assert.deepEqual(
    sent.map(({ partition, baseOffset }) => [partition, baseOffset]),
    [
      [0, 10n],
      [1, 11n],
    ],
  );
});
