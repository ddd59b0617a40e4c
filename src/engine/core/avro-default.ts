// The default of a field: whether its JSON fits the field's type, and the JSON with everything that it leaves out.
import {
  isScalar,
  type AvroShape,
  type Logical,
  type PrimitiveShape,
  type RecordShape,
  type ScalarShape,
} from "./avro-shape.ts";
import { dateTextOf, localTextOf } from "./calendar.ts";
import { readTwosComplement } from "./twos-complement.ts";

const INT_MAX = 2 ** 31 - 1;

/** Why the JSON of a default does not fit; null when it does. Any branch of a union may fit, as since Avro 1.9. */
export function defaultProblem(shape: AvroShape, json: unknown): string | null {
  if (isScalar(shape)) return scalarProblem(shape, json);
  switch (shape.kind) {
    case "union":
      return branchOfDefault(shape.branches, json) >= 0 ? null : "it fits no branch of the union";
    case "record":
      return recordProblem(shape, json);
    case "array":
      if (!Array.isArray(json)) return "expected a list";
      return first(json.map((item) => defaultProblem(shape.items, item)));
    case "map":
      if (!isObject(json)) return "expected an object";
      return first(Object.values(json).map((value) => defaultProblem(shape.values, value)));
    case "enum":
      return shape.symbols.includes(json as string) ? null : "expected one of its symbols";
  }
}

/** The first branch that a default fits; -1 for none. */
export const branchOfDefault = (branches: readonly AvroShape[], json: unknown): number =>
  branches.findIndex((branch) => defaultProblem(branch, json) === null);

/** The default with the defaults of all fields that it leaves out. */
export function completeDefault(shape: AvroShape, json: unknown): unknown {
  if (shape.kind === "union") {
    const branch = shape.branches[branchOfDefault(shape.branches, json)];
    return branch === undefined ? json : completeDefault(branch, json);
  }
  if (shape.kind === "array")
    return (json as readonly unknown[]).map((item) => completeDefault(shape.items, item));
  if (shape.kind === "map") return mapped(json, (value) => completeDefault(shape.values, value));
  if (shape.kind !== "record") return json;
  const given = json as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    shape.fields.map(({ name, shape: type, default: own }) => [
      name,
      completeDefault(type, Object.hasOwn(given, name) ? given[name] : own),
    ]),
  );
}

const mapped = (json: unknown, change: (value: unknown) => unknown): unknown =>
  Object.fromEntries(Object.entries(json as object).map(([key, value]) => [key, change(value)]));

function recordProblem({ fields }: RecordShape, json: unknown): string | null {
  if (!isObject(json)) return "expected an object";
  return first(
    fields.map(({ name, shape, hasDefault }) => {
      if (!Object.hasOwn(json, name)) return hasDefault ? null : `${name} is missing`;
      const problem = defaultProblem(shape, json[name]);
      return problem === null ? null : `${name}: ${problem}`;
    }),
  );
}

function scalarProblem(shape: ScalarShape, json: unknown): string | null {
  switch (shape.kind) {
    case "null":
      return json === null ? null : "expected null";
    case "boolean":
      return typeof json === "boolean" ? null : "expected true or false";
    case "int":
    case "long":
      return wholeProblem(shape, json);
    case "float":
    case "double":
      return typeof json === "number" ? null : "expected a number";
    case "string":
      return typeof json === "string" && json.isWellFormed() ? null : "expected a text";
    case "bytes":
    case "fixed":
      return bytesProblem(shape, json);
  }
}

function wholeProblem({ kind, logical }: PrimitiveShape, json: unknown): string | null {
  if (!Number.isSafeInteger(json)) return "expected a whole number within ±(2^53−1)";
  const n = json as number;
  if (kind === "int" && (n > INT_MAX || n < -INT_MAX - 1)) return "expected an int of 32 bits";
  return isDay(logical, n) ? null : "expected a day in the years 0000 to 9999";
}

/** True for a number that its calendar can show, and for one that is in no calendar. */
function isDay(logical: Logical | null, n: number): boolean {
  if (logical?.kind === "date") return dateTextOf(n) !== null;
  if (logical?.kind === "local-timestamp-millis") return localTextOf(BigInt(n), 3) !== null;
  if (logical?.kind === "local-timestamp-micros") return localTextOf(BigInt(n), 6) !== null;
  return true;
}

/** The bytes of a default are a text of one character a byte. */
function bytesProblem(shape: ScalarShape, json: unknown): string | null {
  if (typeof json !== "string" || /[^\u0000-\u00ff]/.test(json))
    return "expected a text of characters up to \\u00ff, one a byte";
  if (shape.kind === "fixed" && json.length !== shape.size)
    return `expected ${String(shape.size)} bytes`;
  if (shape.logical?.kind !== "decimal") return null;
  if (json === "") return "a decimal has at least one byte";
  const bytes = Buffer.from(json, "latin1");
  const unscaled = readTwosComplement(bytes, 0, bytes.length);
  const limit = 10n ** BigInt(shape.logical.precision);
  const { precision } = shape.logical;
  return unscaled < limit && unscaled > -limit ? null : `more than ${String(precision)} digits`;
}

const first = (problems: readonly (string | null)[]): string | null =>
  problems.find((problem) => problem !== null) ?? null;
const isObject = (json: unknown): json is Readonly<Record<string, unknown>> =>
  typeof json === "object" && json !== null && !Array.isArray(json);
