// Progress of a group where a broker that was deposed still answers. test/long/deposed-broker.ts has real brokers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KafkaAdmin } from "../../../../src/engine/clients/kafkajs/admin/kafka-admin.ts";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import {
  BrokerRefusal,
  codes,
  translate,
} from "../../../../src/engine/clients/kafkajs/failures.ts";
import { BatchBounds } from "../../../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";

const at = { topic: "orders", partition: 0 };
const member = { group: "shop.main", generationId: 2, memberId: "w1" };

interface Scene {
  /** Whether the first broker that is asked was deposed; the second is the coordinator. */
  readonly isDeposed: boolean;
  /** The brokers that know the member's generation. */
  readonly knowing: readonly string[];
}

/** The old broker has progress 10, the new one 20. */
function admin({ isDeposed, knowing }: Scene): KafkaAdmin {
  let coordinator = "old";
  const cluster = {
    async retry(_: unknown, __: number, attempt: () => Promise<unknown>): Promise<unknown> {
      for (let tries = 0; ; tries++)
        try {
          return await attempt();
        } catch (error) {
          const failure = translate(error, "progress of shop.main");
          if (failure.disposition !== "retry" || tries > 3) throw failure;
        }
    },
    atCoordinator: (_: string, __: string, work: (broker: string) => unknown) => work(coordinator),
    call: (broker: string) =>
      knowing.includes(broker)
        ? Promise.resolve({})
        : Promise.reject(new BrokerRefusal(codes.illegalGeneration)),
    send: (broker: string) =>
      Promise.resolve({
        errorCode: 0,
        offsets: [{ ...at, nextOffset: broker === "old" ? 10n : 20n, metadata: "", errorCode: 0 }],
      }),
    confirmCoordinator() {
      if (!isDeposed || coordinator === "new") return Promise.resolve();
      coordinator = "new";
      return Promise.reject(new BrokerRefusal(codes.notCoordinator));
    },
  };
  return new KafkaAdmin(cluster as unknown as Cluster, 1_000, new BatchBounds());
}

const progressOf = async (scene: Scene, isMember: boolean): Promise<bigint | null | undefined> => {
  const options = isMember ? { stable: true, member } : { stable: true };
  const [offset] = await admin(scene).committed(member.group, [at], options);
  return offset?.nextOffset;
};

test("a member reads progress from a coordinator that knows its generation", async () => {
  assert.equal(await progressOf({ isDeposed: true, knowing: ["new"] }, true), 20n);
  assert.equal(await progressOf({ isDeposed: false, knowing: ["old"] }, true), 10n);
});

test("a member that the coordinator no longer knows is fenced", async () => {
  await assert.rejects(progressOf({ isDeposed: false, knowing: [] }, true), {
    code: "MILL_KAFKA_FENCED",
  });
  await assert.rejects(progressOf({ isDeposed: true, knowing: [] }, true), {
    code: "MILL_KAFKA_FENCED",
  });
});

test("progress for anybody else counts when another broker names the same coordinator", async () => {
  assert.equal(await progressOf({ isDeposed: true, knowing: [] }, false), 20n);
  assert.equal(await progressOf({ isDeposed: false, knowing: [] }, false), 10n);
});
