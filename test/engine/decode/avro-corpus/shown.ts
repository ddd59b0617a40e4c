// A value of ours in the words of the corpus: without logical types, whole numbers as texts, a union's value under the
// name of its branch.
import {
  branchNameOf,
  bucketOf,
  isScalar,
  type AvroShape,
  type ScalarShape,
} from "../../../../src/engine/core/avro-shape.ts";
import { daysOf, localCountOf } from "../../../../src/engine/core/calendar.ts";
import { isDecimal, unscaledOf, type Decimal } from "../../../../src/engine/core/decimal.ts";

type Fields = Readonly<Record<string, unknown>>;

export function shown(shape: AvroShape, value: unknown): unknown {
  if (isScalar(shape)) return scalar(shape, value);
  switch (shape.kind) {
    case "enum":
      return value;
    case "array":
      return (value as readonly unknown[]).map((item) => shown(shape.items, item));
    case "map":
      return Object.fromEntries(
        Object.entries(value as Fields).map(([key, item]) => [key, shown(shape.values, item)]),
      );
    case "record":
      return Object.fromEntries(
        shape.fields.map(({ name, shape: type }) => [name, shown(type, (value as Fields)[name])]),
      );
    case "union":
      return branch(shape, value);
  }
}

function branch(shape: Extract<AvroShape, { kind: "union" }>, value: unknown): unknown {
  if (value === null) return null;
  const [name, inner] = shape.wrapped
    ? (Object.entries(value as Fields)[0] as [string, unknown])
    : [nameOf(shape.branches, value), value];
  const found = shape.branches.find((one) => branchNameOf(one) === name) as AvroShape;
  return { [name]: shown(found, inner) };
}

const nameOf = (branches: readonly AvroShape[], value: unknown): string =>
  branchNameOf(branches.find((one) => bucket(one) === kindOf(value)) as AvroShape);
const bucket = (shape: AvroShape): string =>
  bucketOf(shape.kind, isScalar(shape) ? (shape.logical?.kind ?? null) : null);
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (isDecimal(value)) return "decimal";
  return value instanceof Uint8Array ? "bytes" : typeof value;
}

function scalar(shape: ScalarShape, value: unknown): unknown {
  const logical = shape.logical?.kind;
  if (shape.logical?.kind === "decimal")
    return String(unscaledOf(value as Decimal, shape.logical.scale));
  if (logical === "uuid" && shape.kind === "fixed") return (value as string).replaceAll("-", "");
  if (logical === "date") return String(daysOf(value as string));
  if (logical?.startsWith("local-timestamp-") === true)
    return String(localCountOf(value as string, digitsOf(logical)));
  switch (shape.kind) {
    case "int":
    case "long":
      return String(value);
    case "float":
    case "double":
      return bits(value as number);
    case "bytes":
    case "fixed":
      return Buffer.from(value as Uint8Array).toString("hex");
    case "null":
    case "boolean":
    case "string":
      return value;
  }
}

const digitsOf = (logical: string): 3 | 6 | 9 =>
  logical.endsWith("millis") ? 3 : logical.endsWith("micros") ? 6 : 9;

function bits(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  const buffer = Buffer.alloc(8);
  buffer.writeDoubleBE(value);
  return buffer.toString("hex");
}
