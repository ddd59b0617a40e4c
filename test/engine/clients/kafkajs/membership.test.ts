import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { BrokerRefusal } from "../../../../src/engine/clients/kafkajs/failures.ts";
import { Membership } from "../../../../src/engine/clients/kafkajs/group/membership.ts";
import {
  encodeAssignments,
  encodeMember,
} from "../../../../src/engine/clients/kafkajs/group/member-data.ts";
import type { ConsumerOptions } from "../../../../src/engine/core/kafka.ts";

const NOT_COORDINATOR = 16;

/** A coordinator that has moved away from where a leaver first asks. */
class MovedCluster {
  readonly left: string[] = [];
  asked = 0;

  async atCoordinator<T>(
    _kind: string,
    _id: string,
    work: (broker: unknown) => Promise<T>,
  ): Promise<T> {
    const send = (request: { memberId: string }): Promise<void> => {
      if (this.asked++ === 1) return Promise.reject(new BrokerRefusal(NOT_COORDINATOR));
      this.left.push(request.memberId);
      return Promise.resolve();
    };
    return work({ connectionPool: { getConnection: () => Promise.resolve({ send }) } });
  }

  async retry<T>(_what: string, _deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    return attempt().catch(() => attempt());
  }

  call(_broker: unknown, name: string): Promise<unknown> {
    this.asked = 1;
    const metadata = encodeMember(["in"], "me", []);
    const members = [{ memberId: "m-1", memberMetadata: metadata }];
    if (name === "JoinGroup")
      return Promise.resolve({ generationId: 1, memberId: "m-1", leaderId: "m-1", members });
    const [own] = encodeAssignments(members as never, new Map([["in", 1]]));
    return Promise.resolve(own);
  }

  built(_broker: unknown, _name: string, request: unknown): unknown {
    return request;
  }
  refresh = (): Promise<void> => Promise.resolve();
  topic = (): unknown => ({ topicErrorCode: 0, partitionMetadata: [{}] });
}

test("who leaves while the coordinator moves asks the new one, and only once it is a member", async () => {
  const cluster = new MovedCluster();
  const options = { group: "g", topics: ["in"], identity: "me" } as unknown as ConsumerOptions;
  const member = new Membership(cluster as unknown as Cluster, options);
  await member.leave(1_000);
  assert.deepEqual(cluster.left, []);
  await member.join();
  await member.leave(1_000);
  assert.deepEqual(cluster.left, ["m-1"]);
});
