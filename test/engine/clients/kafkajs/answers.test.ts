// An answer that ends too early, or whose lengths lie: the connection is at fault, and the request is made again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { listOffsetsRequest } from "../../../../src/engine/clients/kafkajs/protocol/list-offsets.ts";
import { fetchRequest } from "../../../../src/engine/clients/kafkajs/protocol/fetch.ts";
import type { ProtocolRequest } from "../../../../src/engine/clients/kafkajs/protocol/request.ts";
import { topicConfigRequest } from "../../../../src/engine/clients/kafkajs/protocol/topic-config.ts";
import { WireReader, WireWriter } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";
import { MillraceError } from "../../../../src/engine/core/errors.ts";

const AT = { topic: "t", partition: 0 };
const answered = (writer: WireWriter, of: (writer: WireWriter) => unknown): Buffer =>
  writer.topics([AT], ({ partition }) => of(writer.int32(partition))).written;

const offsets = answered(new WireWriter().int32(0), (w) => w.int16(0).int64(-1n).int64(7n));
const fetched = answered(new WireWriter().int32(0).int16(0).int32(0), (w) => {
  w.int16(0)
    .int64(9n)
    .int64(9n)
    .int64(0n)
    .array([], () => undefined);
  w.int32(-1).bytes(Buffer.alloc(20));
});

const asked: readonly (readonly [string, ProtocolRequest<unknown>, Buffer])[] = [
  ["ListOffsets", listOffsetsRequest([AT], -1n), offsets],
  ["Fetch", fetchRequest([{ ...AT, fetchOffset: 0n, maxBytes: 9 }], 9, 9), fetched],
];

for (const [name, { response }, answer] of asked)
  test(`an answer to ${name} that is cut anywhere is none, and asked for again`, async () => {
    await response.decode(answer);
    for (let length = 0; length < answer.length; length++)
      await assert.rejects(response.decode(answer.subarray(0, length)), (error: unknown) => {
        assert.ok(error instanceof MillraceError);
        assert.deepEqual([error.code, error.disposition], ["MILL_KAFKA_UNAVAILABLE", "retry"]);
        assert.match(error.message, new RegExp(`the answer to ${name} is none of its format$`));
        return true;
      });
  });

test("a mistake of ours is not taken for one of the connection", async () => {
  const { response } = topicConfigRequest("t", {});
  await assert.rejects(response.decode(null as unknown as Buffer), TypeError);
});

test("no length is believed beyond the bytes", () => {
  const lying = new WireWriter().int32(2 ** 31 - 1).written;
  assert.throws(() => new WireReader(lying).bytes(), RangeError);
  assert.throws(() => new WireReader(lying).array((reader) => reader.int8()), RangeError);
  assert.throws(() => new WireReader(Buffer.from([0x7f, 0xff, 1])).string(), RangeError);
  assert.throws(() => new WireReader(Buffer.from([0xff, 0x7f, 1])).compactString(), RangeError);
  assert.throws(() => new WireReader(Buffer.from([1, 0, 0x7f])).skipTags(), RangeError);
});
