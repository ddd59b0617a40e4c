// Data of members comes from whoever may join the group: whatever it is, each partition has one owner.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeAssignment,
  encodeAssignments,
  encodeMember,
  memberFacts,
} from "../../../../src/engine/clients/kafkajs/group/member-data.ts";
import { WireWriter } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";
import { MillraceError } from "../../../../src/engine/core/errors.ts";
import { STORED_FORMAT } from "../../../../src/engine/core/stored-format.ts";

const framed = (userData: string, topics: readonly string[] = ["in"]): Buffer =>
  new WireWriter()
    .int16(1)
    .array(topics, (topic, writer) => writer.string(topic))
    .bytes(Buffer.from(userData)).written;

const counts = new Map([["in", 4]]);
/** The partitions of each member. */
const assigned = (...members: readonly Buffer[]): number[][] =>
  encodeAssignments(
    members.map((memberMetadata, i) => ({ memberId: `m${String(i)}`, memberMetadata })),
    counts,
  ).map(({ memberAssignment }) => [...decodeAssignment(memberAssignment).indexes]);

const good = encodeMember(["in"], "millrace-a", [2, 3]);

test("a member that says what no worker says has had nothing, and the others keep what they had", () => {
  const hostile = [
    ...[
      "null",
      "7",
      "[]",
      '"x"',
      "{",
      "",
      '{"id":5,"owned":[0]}',
      '{"id":"x","owned":{"length":9}}',
    ],
    ...['{"id":"x","owned":[null,"0",-1,1e99]}', '{"__proto__":{"id":"x"}}', "[".repeat(50_000)],
  ].map((userData) => framed(userData));
  const cut = [good.subarray(0, 5), Buffer.alloc(0), Buffer.from("no frame")];
  for (const bytes of [...hostile, ...cut]) {
    assert.deepEqual(assigned(good, bytes), [
      [2, 3],
      [0, 1],
    ]);
    assert.ok([null, undefined].includes(memberFacts(bytes)?.format as null));
  }
  assert.deepEqual(memberFacts(good), { topics: ["in"], format: STORED_FORMAT });
});

test("a length that lies takes no memory", () => {
  const lying = Buffer.from(framed("{}"));
  lying.writeInt32BE(32_000_000, 2);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 20; i++) assert.equal(memberFacts(lying), null);
  assert.ok(process.memoryUsage().heapUsed - before < 50_000_000);
});

test("an assignment that no leader writes is an answer to be asked for again", () => {
  const [own] = encodeAssignments([{ memberId: "m", memberMetadata: good }], counts);
  const { memberAssignment } = own as { memberAssignment: Buffer };
  const negative = Buffer.from(memberAssignment);
  negative.writeInt32BE(-1, 2 + 4 + 2 + 2 + 4);
  for (const bytes of [memberAssignment.subarray(0, 11), Buffer.from("x"), negative])
    assert.throws(
      () => decodeAssignment(bytes),
      (error: unknown) =>
        error instanceof MillraceError &&
        error.code === "MILL_KAFKA_UNAVAILABLE" &&
        error.disposition === "retry",
    );
  assert.deepEqual(decodeAssignment(Buffer.alloc(0)).partitions, []);
  const { partitions, identities } = decodeAssignment(memberAssignment);
  assert.deepEqual([partitions.length, identities], [4, ["millrace-a"]]);
});
