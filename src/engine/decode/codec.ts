// The room's door: a format in, a codec out. Pure: writers' schemas are handed in, and fetched by the runtime.
import type { Codec, CodecOptions, SchemaFormat } from "../core/schema.ts";
import { avroCodec } from "./avro/avro-codec.ts";
import { CarriedCodec } from "./carried.ts";
import { JoinBufferCodec } from "./joins/buffer.ts";
import { jsonCodec } from "./json.ts";
import { primitiveCodec } from "./primitive.ts";
import { taggedJsonCodec } from "./tagged-json.ts";
import { WindowsCodec } from "./windows/entry.ts";

/** Compiles a format; throws ConfigError MILL_SCHEMA_INVALID for an Avro schema that cannot be used. */
export function compileCodec(format: SchemaFormat, options: CodecOptions): Codec {
  switch (format.kind) {
    case "avro":
      return avroCodec(format.name, format.schema, options);
    case "json":
      return jsonCodec(format.validator, options.where);
    case "string":
    case "bytes":
    case "long":
      return primitiveCodec(format.kind, options.where);
    case "tagged-json":
      return taggedJsonCodec(options.where);
    case "carried":
      return new CarriedCodec(format, options, compileCodec);
    case "join-buffer":
      return new JoinBufferCodec(format, options, compileCodec);
    case "windows":
      return new WindowsCodec(format, options, compileCodec);
    case "nullable":
      return nullable(compileCodec(format.of, options));
  }
}

/** Null is null bytes, both ways; everything else is the inner codec's. */
function nullable(inner: Codec): Codec {
  return {
    encode: (value) => (value === null ? null : inner.encode(value)),
    decode: (bytes) => (bytes === null ? null : inner.decode(bytes)),
    unknownId: (bytes) => inner.unknownId(bytes),
    isValidated: inner.isValidated === true,
  };
}
