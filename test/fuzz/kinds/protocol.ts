// Answers of brokers, and what the members of a group tell each other: a value, or an error that the client knows what to do about.
import { translate } from "../../../src/engine/clients/kafkajs/failures.ts";
import { addPartitionsRequest } from "../../../src/engine/clients/kafkajs/protocol/add-partitions.ts";
import { fetchRequest } from "../../../src/engine/clients/kafkajs/protocol/fetch.ts";
import { listOffsetsRequest } from "../../../src/engine/clients/kafkajs/protocol/list-offsets.ts";
import {
  noMember,
  offsetCommitRequest,
  offsetFetchRequest,
} from "../../../src/engine/clients/kafkajs/protocol/offsets.ts";
import { produceRequest } from "../../../src/engine/clients/kafkajs/protocol/produce.ts";
import type { ProtocolRequest } from "../../../src/engine/clients/kafkajs/protocol/request.ts";
import { topicConfigRequest } from "../../../src/engine/clients/kafkajs/protocol/topic-config.ts";
import { topicIdsRequest } from "../../../src/engine/clients/kafkajs/protocol/topic-ids.ts";
import { WireWriter } from "../../../src/engine/clients/kafkajs/protocol/wire.ts";
import {
  decodeAssignment,
  encodeAssignments,
  encodeMember,
  memberFacts,
  type MemberMetadata,
} from "../../../src/engine/clients/kafkajs/group/member-data.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBePlain, type AnyKind, type Verdict } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";

const AT = { topic: "orders", partition: 3 };
const producer = { transactionalId: "tx", producerId: 5n, epoch: 1 };
const progress = [{ ...AT, nextOffset: 9n, metadata: "m" }];

/** A request, and an answer to it as a broker writes it. */
type Asked = readonly [request: ProtocolRequest<unknown>, answer: Buffer];

const partitions = (write: (writer: WireWriter) => unknown): WireWriter => {
  const writer = new WireWriter();
  return writer.topics([AT, { ...AT, partition: 4 }], ({ partition }) =>
    write(writer.int32(partition)),
  );
};
const flexible = (write: (writer: WireWriter) => unknown): WireWriter => {
  const writer = new WireWriter().noTags().int32(0);
  return writer.compactArray(["orders"], (topic) => {
    writer.compactString(topic).compactArray([3, 4], (partition) => write(writer.int32(partition)));
    writer.noTags();
  });
};
const answerOf = (head: WireWriter, rest: WireWriter): Buffer =>
  Buffer.concat([head.written, rest.written]);
const throttle = (): WireWriter => new WireWriter().int32(0);

const asked: readonly Asked[] = [
  [
    fetchRequest([{ ...AT, fetchOffset: 1n, maxBytes: 9 }], 99, 5),
    answerOf(
      throttle().int16(0).int32(0),
      partitions((writer) => {
        writer
          .int16(0)
          .int64(9n)
          .int64(9n)
          .int64(0n)
          .array([1], () => writer.int64(5n).int64(1n));
        writer.int32(-1).bytes(Buffer.alloc(70));
      }),
    ),
  ],
  [
    listOffsetsRequest([AT], -1n),
    answerOf(
      throttle(),
      partitions((writer) => writer.int16(0).int64(-1n).int64(7n)),
    ),
  ],
  [
    addPartitionsRequest(producer, [AT]),
    answerOf(
      throttle(),
      partitions((w) => w.int16(0)),
    ),
  ],
  [
    produceRequest(null, [{ ...AT, bytes: Buffer.alloc(9) }], 5),
    answerOf(
      partitions((writer) => {
        writer.int16(87).int64(-1n).int64(-1n).int64(0n);
        writer.array([0], (n) => writer.int32(n).string("no")).string("words");
      }),
      throttle(),
    ),
  ],
  [
    offsetCommitRequest(noMember("g"), progress),
    flexible((writer) => writer.int16(0).noTags()).noTags().written,
  ],
  [
    offsetFetchRequest("g", [AT], true),
    flexible((writer) => writer.int64(9n).int32(-1).compactString("{}").int16(0).noTags())
      .int16(0)
      .noTags().written,
  ],
  [
    topicIdsRequest(["orders"]),
    new WireWriter()
      .noTags()
      .int32(0)
      .compactArray([1], (id, w) =>
        w.int32(id).compactString("host").int32(9092).uvarint(0).noTags(),
      )
      .compactString("cluster")
      .int32(1)
      .compactArray(["orders"], (name, w) => {
        w.int16(0).compactString(name).raw(Buffer.alloc(16, 7)).int8(0);
        w.compactArray([0], (n) => {
          w.int16(0).int32(n).int32(1).int32(1);
          for (let i = 0; i < 3; i++) w.compactArray([1], (one) => w.int32(one));
          w.noTags();
        });
        w.int32(0).noTags();
      })
      .noTags().written,
  ],
  [
    topicConfigRequest("orders", { "retention.ms": "1" }),
    throttle().array([0], (n, w) => w.int16(n).string(null).int8(2).string("orders")).written,
  ],
];

export const answerKind: AnyKind = kindOf({
  ...{ name: "answers", codes: /^MILL_KAFKA_UNAVAILABLE$/, weight: 2 },
  make(draw: Draw) {
    const [request, answer] = draw.of(asked);
    return { request, answer: mutated(draw, answer, draw.of(asked)[1]) };
  },
  async read({ request, answer }): Promise<Verdict> {
    try {
      // As the connection asks for it.
      await request.response.parse(await request.response.decode(answer));
      return "taken";
    } catch (error) {
      throw translate(error, "a request");
    }
  },
});

const member = (identity: string, owned: readonly number[]): Buffer =>
  encodeMember(["in", "out"], identity, owned);
const members = [member("millrace-a", [0, 1]), member("millrace-b", []), member("", [2 ** 31])];
const counts = new Map([
  ["in", 4],
  ["out", 2],
]);
const assignments = encodeAssignments(
  [members[0], members[1]].map((memberMetadata, i) => ({
    ...{ memberId: `m${String(i)}`, memberMetadata: memberMetadata as Buffer },
  })),
  counts,
);

/** Its own user data is JSON: changed as such, in its frame of version and topics. */
function memberChanged(draw: Draw, bytes: Buffer): Buffer {
  if (draw.chance(0.4)) return mutated(draw, bytes, draw.of(members));
  const begin = bytes.indexOf("{");
  const data = jsonBytes(draw, JSON.parse(bytes.toString("utf8", begin)));
  const length = Buffer.alloc(4);
  length.writeInt32BE(data.length);
  return Buffer.concat([bytes.subarray(0, begin - 4), length, data]);
}

interface Group {
  readonly members: readonly MemberMetadata[];
  readonly assignment: Buffer;
}

/** Each index goes to one member, whatever they say of themselves. */
function checkAssigned(group: readonly MemberMetadata[]): void {
  const given = encodeAssignments(group, counts).flatMap(({ memberAssignment }) =>
    decodeAssignment(memberAssignment).partitions.map(
      ({ topic, partition }) => `${topic} ${String(partition)}`,
    ),
  );
  must(given.length === 6 && new Set(given).size === 6, "a partition has no owner, or two");
}

export const memberKind: AnyKind = kindOf({
  ...{ name: "members", codes: /^MILL_KAFKA_UNAVAILABLE$/, weight: 2 },
  make: (draw: Draw): Group => ({
    members: draw.list(1, 4, (i) => ({
      memberId: `m${String(i)}`,
      memberMetadata: draw.chance(0.4) ? draw.of(members) : memberChanged(draw, draw.of(members)),
    })),
    assignment: memberChanged(draw, draw.of(assignments).memberAssignment),
  }),
  read({ members: group, assignment }: Group): Verdict {
    const facts = group.map(({ memberMetadata }) => memberFacts(memberMetadata));
    mustBePlain(facts);
    checkAssigned(group);
    const { partitions } = decodeAssignment(assignment);
    must(
      partitions.every(({ partition }) => partition >= 0),
      "a partition below 0",
    );
    return facts.every((one) => one?.format === null) ? "refused" : "taken";
  },
});
