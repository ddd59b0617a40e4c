// Shared by the decode tests: codecs over a registry that is a plain map.
import { DecodeError, MillraceError } from "../../../src/engine/core/errors.ts";
import type { AvroSchema, Codec } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { avro } from "../../../src/engine/define/schema.ts";

export const ID = 7;

/** A codec whose own schema has id 7; `writers` are further schemas by id. */
export function codecOf(schema: AvroSchema, writers: Record<number, AvroSchema> = {}): Codec {
  const texts = new Map<number, string>([[ID, JSON.stringify(schema)]]);
  for (const [id, writer] of Object.entries(writers)) texts.set(Number(id), JSON.stringify(writer));
  return compileCodec(avro(schema).format, {
    schemas: { get: (id) => texts.get(id) ?? "unknown" },
    writerId: ID,
  });
}

export const recordOf = (...fields: object[]): AvroSchema => ({
  type: "record",
  name: "Order",
  namespace: "shop",
  fields,
});
export const field = (name: string, type: unknown, rest: object = {}): object => ({
  name,
  type,
  ...rest,
});

/** Header and body, as a producer of another language writes them. */
export const wire = (id: number, ...body: number[]): Buffer => {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, Buffer.from(body)]);
};

/** Written with one schema, read with another. */
export function reread(reader: AvroSchema, writer: AvroSchema, value: unknown): unknown {
  const bytes = codecOf(writer).encode(value) as Buffer;
  bytes.writeInt32BE(99, 1);
  return codecOf(reader, { 99: writer }).decode(bytes);
}

/** The code of the error; any error that is none of ours is thrown on. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}
export function messageFrom(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing was thrown";
}

/** What a decode gave, or the code of its DecodeError. Anything else that it throws is a failure of the test. */
export function outcomeOf(codec: Codec, bytes: Buffer): { value: unknown } | { code: string } {
  try {
    return { value: codec.decode(bytes) };
  } catch (error) {
    if (error instanceof DecodeError) return { code: error.code };
    throw error;
  }
}
