// The letter about a key that cannot be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, long, nullable, pipeline, string, topic, type Schema } from "#engine";
import { sendBytes, simulate } from "#testing";
import { headerText } from "../../../src/engine/core/record.ts";

const shape = { value: json<unknown>(), partitions: 1, owner: "tests" };
const avroKey = avro<{ id: string }>({
  type: "record",
  name: "Key",
  fields: [{ name: "id", type: "string" }],
});

async function said(key: Schema<never>, bytes: Buffer | null, value = "{}"): Promise<string> {
  const [input, output] = ["in", "out"].map((name) => topic(name, { ...shape, key }));
  if (input === undefined || output === undefined) return assert.fail("two topics");
  const flow = pipeline("flow", ({ from }) => from(input).to(output));
  const { deadLetters } = await simulate(flow, [
    sendBytes(input as never, bytes, Buffer.from(value)),
  ]);
  const [letter] = deadLetters;
  if (letter === undefined) return "read";
  const message = headerText(letter.record.headers, "dlq.message") ?? "";
  return `${letter.code ?? ""}  ${message}`;
}

test("a missing key is no empty value", async () => {
  for (const key of [string, long, json<string>(), avroKey] as unknown as Schema<never>[])
    assert.equal(await said(key, null), "MILL_DECODE_NO_KEY  the record has no key");
  assert.equal(await said(nullable(string) as never, null), "read");
});

test("a key that cannot be read is called a key", async () => {
  const cases: readonly (readonly [Schema<never>, Buffer, RegExp])[] = [
    [json<string>() as never, Buffer.alloc(0), /^MILL_DECODE_EMPTY  the key: it is empty$/],
    [avroKey as never, Buffer.alloc(0), /^MILL_DECODE_EMPTY  the key: it is empty$/],
    [avroKey as never, Buffer.from("k"), /^MILL_DECODE_MAGIC  the key: it does not begin with the/],
    [avroKey as never, Buffer.from('{"id":1}'), /the key: .* looks like plain JSON$/],
    [
      string as never,
      Buffer.of(0xff),
      /^MILL_DECODE_TEXT  the key: the bytes are not what the key/,
    ],
  ];
  for (const [key, bytes, words] of cases) assert.match(await said(key, bytes), words);
  assert.equal(await said(string as never, Buffer.alloc(0)), "read");
});

test("an empty value is still one of the value", async () => {
  const message = await said(string as never, Buffer.from("k"), "");
  assert.equal(message, "MILL_DECODE_EMPTY  the value is empty");
});
