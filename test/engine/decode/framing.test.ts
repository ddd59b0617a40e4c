import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { test } from "node:test";
import { z } from "zod";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { envelopeOf } from "../../../src/engine/decode/framing.ts";
import { json, long, string } from "../../../src/engine/define/schema.ts";
import type { Codec } from "../../../src/engine/core/schema.ts";
import { codecOf, codeOf, field, ID, messageFrom, recordOf, wire } from "./avro-support.ts";

const options = { schemas: { get: () => undefined }, writerId: null };
const jsonCodec = compileCodec(json().format, options);
const strictJson = compileCodec(json(z.object({ n: z.number() })).format, options);
const avroCodec = codecOf(recordOf(field("n", "long")));

const SECRET = "s3cret";
const text = `{"n": 1, "name": "${SECRET}"}`;
const framed = (head: readonly number[], body: string | Buffer = text): Buffer =>
  Buffer.concat([Buffer.from(head), Buffer.from(body as string)]);
const connect = JSON.stringify({ schema: { type: "struct", fields: [] }, payload: { n: SECRET } });
const change = { before: null, after: { n: SECRET }, source: { db: "d" }, op: "c", ts_ms: 1 };

/** Bytes, and what an Avro topic and a JSON topic say of them; null is read by it. */
const cases: Readonly<Record<string, readonly [Buffer, RegExp | null, RegExp | null]>> = {
  "plain JSON": [Buffer.from(text), /looks like plain JSON/, null],
  "plain JSON, a list": [Buffer.from(` [${text}]\n`), /looks like plain JSON/, null],
  "a byte order mark": [
    framed([0xef, 0xbb, 0xbf]),
    /UTF-8 byte order mark/,
    /UTF-8 byte order mark/,
  ],
  "UTF-16 with its mark": [framed([0xff, 0xfe], Buffer.from(text, "utf16le")), /UTF-16/, /UTF-16/],
  "UTF-16": [Buffer.from(text, "utf16le"), /UTF-16/, /UTF-16/],
  "UTF-16, big-endian": [Buffer.from(text, "utf16le").swap16(), /UTF-16/, /UTF-16/],
  "JSON Schema": [framed([0, 0, 0, 0, 9]), /JSON Schema framing/, /JSON Schema framing/],
  "JSON Schema under our own id": [
    framed([0, 0, 0, 0, ID]),
    /JSON Schema framing/,
    /JSON Schema fr/,
  ],
  "ids of eight bytes, JSON": [
    framed([0, 0, 0, 0, 0, 0, 0, 0, 9]),
    /ids of eight bytes.*Apicurio/,
    /ids of eight bytes.*JSON/,
  ],
  "ids of eight bytes, Avro": [
    framed([0, 0, 0, 0, 0, 0, 0, 0, 9], Buffer.of(2)),
    /ids of eight bytes/,
    /ids of eight bytes/,
  ],
  Protobuf: [wire(9, 0, 0x0a, 3, 97, 98, 99), /Protobuf framing/, /Protobuf framing/],
  Avro: [wire(ID, 2), null, /wire format .* with Avro or Protobuf/],
  "AWS Glue": [framed([3, 0], Buffer.alloc(17, 1)), /AWS Glue/, /AWS Glue/],
  "AWS Glue, compressed": [framed([3, 5], Buffer.alloc(30, 0xf1)), /AWS Glue/, /AWS Glue/],
  "Avro, one object": [framed([0xc3, 1], Buffer.alloc(9, 1)), /single-object/, /single-object/],
  "an Avro file": [
    framed([0x4f, 0x62, 0x6a, 1], "avro.schema"),
    /container file/,
    /container file/,
  ],
  gzip: [gzipSync(text), /gzip/, /gzip/],
  "a Connect envelope": [Buffer.from(connect), /Kafka Connect.*schemas\.enable=false/, null],
  "a Debezium event": [Buffer.from(JSON.stringify(change)), /Debezium/, null],
};

for (const [name, [bytes, asAvro, asJson]] of Object.entries(cases))
  test(`${name} is named, where it is not what the topic has`, () => {
    for (const [codec, words] of [
      [avroCodec, asAvro],
      [jsonCodec, asJson],
    ] as readonly [Codec, RegExp | null][]) {
      const message = messageFrom(() => codec.decode(bytes));
      if (words === null) assert.equal(message, "nothing was thrown");
      else assert.match(message, words);
      assert.ok(!message.includes(SECRET));
    }
  });

test("envelopes are named where a validator refuses them, and told from plain values", () => {
  const refused = (value: unknown): string =>
    messageFrom(() => strictJson.decode(Buffer.from(JSON.stringify(value))));
  assert.match(
    refused(JSON.parse(connect)),
    /refused it: it looks like an envelope of Kafka Connect/,
  );
  assert.match(refused(change), /Debezium .*ExtractNewRecordState/);
  assert.match(
    refused({ schema: null, payload: change }),
    /Debezium .* in an envelope of Kafka Con/,
  );
  for (const plain of [{ a: 1 }, { op: "c" }, { schema: "x", payload: 1 }, [], 5, null, "x"])
    assert.doesNotMatch(refused(plain), /looks like|nothing was thrown/);
  for (const plain of [
    { schema: { type: "struct" }, payload: 1, more: 2 },
    { op: "buy", source: 1, after: 2 },
    { before: 1, after: 2 },
    { payload: 1 },
  ])
    assert.equal(envelopeOf(plain), null);
});

test("a writer's schema of another kind is named", () => {
  const kinds = {
    'syntax = "proto3";\nmessage A { string b = 1; }':
      /writer's schema 9: it is a Protobuf schema, not/,
    '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}':
      /9: it is a JSON Schema/,
    '{"type":"object","properties":{}}': /writer's schema 9: it is a JSON Schema, not Avro/,
    "<xml>": /writer's schema 9: it is no Avro schema/,
  };
  for (const [written, words] of Object.entries(kinds)) {
    const schemas = { get: () => written };
    const format = { kind: "avro", name: "Order", schema: recordOf(field("n", "long")) } as const;
    const codec = compileCodec(format as never, { schemas, writerId: ID });
    assert.match(
      messageFrom(() => codec.decode(wire(9, 2))),
      words,
    );
  }
});

test("texts and longs say what they were given instead", () => {
  const of = (format: Parameters<typeof compileCodec>[0], bytes: Buffer): string =>
    messageFrom(() => compileCodec(format, options).decode(bytes));
  assert.match(of(string.format, gzipSync(text)), /it is not UTF-8: it looks like gzip/);
  assert.match(of(string.format, Buffer.of(0xff)), /it is not UTF-8$/);
  assert.match(of(long.format, wire(9, 2)), /received 6: it looks like Confluent's wire format/);
});

test("what is only broken is not taken for something else", () => {
  for (const body of [text.slice(0, -1), '{"a":}', "nonsense", "[1,]", "<xml/>", '"x'])
    assert.match(
      messageFrom(() => jsonCodec.decode(Buffer.from(body))),
      /valid JSON of this topic: it does not parse$/,
    );
  for (const body of ["nonsense", "<xml/>", "\u0001{"])
    assert.match(
      messageFrom(() => avroCodec.decode(Buffer.from(body))),
      /does not begin with the magic byte 0$/,
    );
  assert.match(
    messageFrom(() => avroCodec.decode(wire(ID, 0xff))),
    /not a record of the writer's schema: [^;]+$/,
  );
  assert.equal(
    codeOf(() => avroCodec.decode(wire(12, 4, 97))),
    "MILL_DECODE_UNKNOWN_SCHEMA",
  );
});
