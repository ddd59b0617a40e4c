// Avro bytes of drawn writers, read by evolved readers; and schemas as a registry answers them. A value or a letter, whatever the
// bytes say; a value fits its own schema.
import type { AvroSchema, Codec } from "../../../src/engine/core/schema.ts";
import { checkCompatible } from "../../../src/engine/core/avro-compatibility.ts";
import { selfContained } from "../../../src/engine/clients/registry-references.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { pairsOf, type Pair } from "../../engine/decode/avro-corpus/generate.ts";
import { handmade } from "../../engine/decode/avro-corpus/handmade.ts";
import type { Draw } from "../draw.ts";
import { kindOf, mustBePlain, mustBeSame, type AnyKind, type Read, type Verdict } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";

const OWN = 7;
const WRITER = 9;

const field = (name: string, type: unknown, more: object = {}): object => ({ name, type, ...more });
const record = (...fields: readonly object[]): object => ({
  type: "record",
  name: "shop.Order",
  fields,
});
const alone = (type: unknown, ...bodies: readonly string[]): Pair => {
  const schema = record(field("a", type));
  return { writer: schema, reader: schema, bodies };
};
const array = (items: unknown): object => ({ type: "array", items });
const map = (values: unknown): object => ({ type: "map", values });
const empty = { type: "record", name: "Empty", fields: [] };
const defaults = Array.from({ length: 300 }, (_, i) =>
  field(`f${String(i)}`, "int", { default: i }),
);

/** Values without bytes, depth, lengths: where few bytes may ask for much. */
const hostile: readonly Pair[] = [
  alone(array("null"), "80800800", "ffff0f0000", "02000200"),
  alone(map("null"), "02026100"),
  alone(array(array("null")), "020200020000", "04020202020000"),
  alone(array(empty), "808008008080080000", "06000000"),
  alone(array({ type: "fixed", name: "F", size: 0 }), "80800800"),
  alone({ type: "fixed", name: "G", size: 1_000_000 }, "00"),
  alone(array(["null", empty]), "0400020000"),
  alone(array("string"), "020278020000", "03060278017900"),
  alone("bytes", "feffffff0f", "04abcd"),
  alone({ type: "bytes", logicalType: "decimal", precision: 38, scale: 10 }, "04abcd", "f00f00"),
  {
    writer: record(field("a", array(record(field("z", "int"))))),
    reader: record(field("a", array(record(field("z", "int"), ...defaults)))),
    bodies: ["020200", "06020406000000"],
  },
  ...[
    ["next", ["null", "Node"]],
    ["all", array("Node")],
    ["by", map("Node")],
  ].map(([name, type]) => {
    const schema = { type: "record", name: "Node", fields: [field(name as string, type)] };
    return { writer: schema, reader: schema, bodies: ["0202020202020200", "02026102026100000000"] };
  }),
  {
    writer: {
      type: "record",
      name: "Node",
      fields: [field("all", array("Node")), field("x", "long")],
    },
    reader: { type: "record", name: "Node", fields: [field("all", array("Node"))] },
    bodies: ["02020002000000020002", "0002"],
  },
];

const pairOf = (draw: Draw): Pair =>
  draw.chance(0.3) ? draw.of(hostile) : draw.chance(0.3) ? draw.of(handmade) : drawnPair(draw);
const drawnPair = (draw: Draw): Pair => pairsOf(draw.below(2 ** 31), 1)[0] as Pair;

/** Compiled outside the time of a case: it happens once a schema. */
interface Input {
  readonly codec: Codec | null;
  readonly bytes: Buffer;
}

function codecOf(reader: unknown, writer: string): Codec {
  return compileCodec(avro(reader as AvroSchema).format, {
    schemas: {
      get: (id) => ({ [OWN]: JSON.stringify(reader), [WRITER]: writer })[id] ?? "unknown",
    },
    writerId: OWN,
  });
}

function wire(body: Buffer, id = WRITER): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  return Buffer.concat([head, body]);
}

function makeRead(draw: Draw): Input {
  const { writer, reader, bodies } = pairOf(draw);
  const bytes = (): Buffer => Buffer.from(draw.of(bodies.length === 0 ? [""] : bodies), "hex");
  const body = mutated(draw, bytes(), bytes());
  const whole = draw.chance(0.1) ? mutated(draw, wire(bytes())) : wire(body);
  return { codec: readable(reader, JSON.stringify(writer)), bytes: whole };
}

/** Null for a schema that a topic cannot have. */
function readable(reader: unknown, writer: string): Codec | null {
  try {
    return codecOf(reader, writer);
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}

function read({ codec, bytes }: Input): Read {
  if (codec === null) return "refused";
  codec.unknownId(bytes);
  const value = codec.decode(bytes);
  const look = (): void => {
    mustBePlain(value);
    const again = codec.decode(codec.encode(value));
    mustBeSame(again, value, "what was read is another when it is written");
  };
  return { look };
}

const codes = /^MILL_DECODE_(AVRO|SCHEMA|MAGIC|EMPTY|UNKNOWN_SCHEMA)$/;

export const avroKind: AnyKind = kindOf({
  ...{ name: "avro", codes, weight: 4 },
  ...{ make: makeRead, read },
});

interface Schemas {
  readonly reader: unknown;
  readonly text: string;
  readonly references: readonly string[];
  readonly bytes: Buffer;
}

/** Names that meet, depth, very many fields and branches, defaults that are none. */
const schemas: readonly unknown[] = [
  ["null", "string", empty],
  record(...defaults),
  record(...defaults.map((one) => ({ ...one, aliases: ["a", "b", "__proto__"] }))),
  Array.from({ length: 300 }, (_, i) => ({ type: "record", name: `R${String(i)}`, fields: [] })),
  { type: "enum", name: "E", symbols: Array.from({ length: 500 }, (_, i) => `S${String(i)}`) },
  { type: "bytes", logicalType: "decimal", precision: 10, scale: 2 },
  record(field("c", record(field("k", ["null", "shop.Order"]))), field("x", "shop.Missing")),
];

function makeSchemas(draw: Draw): Schemas {
  const { writer, reader, bodies } = pairOf(draw);
  const text = draw.chance(0.1) ? draw.of(schemas) : writer;
  const changed = (schema: unknown): string => jsonBytes(draw, schema).toString();
  return {
    reader,
    text: changed(text),
    references: draw.chance(0.2)
      ? draw.list(1, 4, () => changed(draw.of([...schemas, writer])))
      : [],
    bytes: wire(Buffer.from(bodies[0] ?? "", "hex")),
  };
}

async function readSchemas({ reader, text, references, bytes }: Schemas): Promise<Verdict> {
  const refers = references.map((_, i) => ({ name: "n", subject: `s${String(i)}`, version: 1 }));
  const answers = new Map(
    references.map((schema, i) => [`s${String(i)}`, { schema, references: refers }]),
  );
  const whole = await selfContained(text, { references: refers }, (subject) =>
    Promise.resolve(answers.get(subject) ?? null),
  );
  const codec = readable(reader, whole);
  if (codec === null) return "refused";
  try {
    checkCompatible("s", JSON.stringify(reader), whole);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
  }
  mustBePlain(codec.decode(bytes));
  return "taken";
}

export const schemaKind: AnyKind = kindOf({
  ...{ name: "avro-schemas", codes, weight: 3 },
  ...{ make: makeSchemas, read: readSchemas },
});
