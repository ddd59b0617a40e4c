// The buffers of joins as `state get` shows them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro } from "#engine";
import { batchDecoder } from "../../src/cli/topic-codecs.ts";
import { jsonText } from "../../src/data/json-text.ts";
import { BufferedRecord, type BufferChunk } from "../../src/engine/core/join-buffer.ts";
import type { CarriedFormat, JoinBufferFormat } from "../../src/engine/core/schema.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { unknownTopic } from "../../src/engine/define/nodes/plan-topic.ts";
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../src/engine/testing/doubles/memory-registry.ts";

const schemaOf = (fields: readonly string[]) => ({
  ...{ type: "record", name: "Order", namespace: "shop" },
  fields: fields.map((name) => ({ name, type: "string", default: "-" })),
});

test("a chunk whose records have several writers is shown whole, without its bytes", async () => {
  const registry = new MemoryRegistry();
  const [first, second] = [schemaOf(["id"]), schemaOf(["id", "shop"])] as const;
  const written = [first, second].map((schema) => {
    const id = registry.force("orders-value", JSON.stringify(schema));
    const { format } = avro<{ id: string }>(schema);
    const value = { id: `o${String(id)}`, shop: "s" };
    const options = { schemas: { get: () => undefined }, writerId: id };
    return compileCodec(format, options).encode(value) as Buffer;
  });
  const side: CarriedFormat = {
    ...{ kind: "carried", writes: "as-they-came", declared: null, shapes: "pairs" },
    origins: [{ topic: "orders", format: avro<{ id: string }>(second).format }],
  };
  const value: JoinBufferFormat = { kind: "join-buffer", sides: [side, side], widthMs: 1_000 };
  const records = written.map((bytes, i) => {
    const times = { timeMs: 1_000 + i, originMs: 1_009 };
    return new BufferedRecord(times, i === 1, null, bytes);
  });
  const chunk: BufferChunk = { side: "left", chunks: 1, records };
  const codec = compileCodec(value, { schemas: { get: () => undefined }, writerId: null });
  const topic = { ...unknownTopic, name: "sim-pairs-changelog", value };
  const decode = batchDecoder(topic, registry, new FakeClock());
  const at = { topic: topic.name, partition: 0, offset: 0n, timestamp: 0, headers: [] };
  const [shown] = await decode([{ ...at, key: null, value: codec.encode(chunk) }]);
  assert.equal(
    shown?.value.ok === true ? jsonText(shown.value.value) : shown?.value.message,
    jsonText({
      ...{ side: "left", chunks: 1 },
      records: [
        { timeMs: 1_000, originMs: 1_009, isMatched: false, value: { id: "o1", shop: "-" } },
        { timeMs: 1_001, originMs: 1_009, isMatched: true, value: { id: "o2", shop: "s" } },
      ],
    }),
  );
});
