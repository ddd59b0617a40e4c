import assert from "node:assert/strict";
import { test } from "node:test";
import { TopicAdmin } from "../../../../src/engine/clients/kafkajs/admin/topic-admin.ts";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { BrokerRefusal } from "../../../../src/engine/clients/kafkajs/failures.ts";
import { BatchBounds } from "../../../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";

const INVALID_PARTITIONS = 37;

/** A topic of five partitions, of which the broker that is asked knows two for some answers. */
class LaggingCluster {
  created = 0;
  #behind: number;

  constructor(behind: number) {
    this.#behind = behind;
  }

  anyBroker = (): Promise<unknown> => Promise.resolve({});

  async retry<T>(_what: string, _deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    return attempt().catch((error: unknown) => {
      if (error instanceof BrokerRefusal && error.code === INVALID_PARTITIONS) throw error;
      return attempt();
    });
  }

  call(_broker: unknown, name: string): Promise<unknown> {
    if (name === "CreatePartitions") {
      this.created++;
      return Promise.reject(new BrokerRefusal(INVALID_PARTITIONS));
    }
    const known = this.#behind-- > 0 ? 2 : 5;
    const partitionMetadata = Array.from({ length: known }, () => ({ leader: 1 }));
    return Promise.resolve({
      topicMetadata: [{ topic: "t", topicErrorCode: 0, partitionMetadata }],
    });
  }
}

test("a broker that lags behind its controller does not make a wide topic an error", async () => {
  for (const behind of [1, 2, 3]) {
    const cluster = new LaggingCluster(behind);
    await new TopicAdmin(cluster as unknown as Cluster, 1_000, new BatchBounds()).addPartitions(
      "t",
      5,
    );
    assert.ok(cluster.created > 0);
  }
});
