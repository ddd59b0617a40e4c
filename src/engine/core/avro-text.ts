// A parsed schema as the JSON of one schema that needs no other: each named type where it first occurs. Docs, aliases and
// defaults are left out: reading bytes needs none of a writer's.
import { isScalar, type AvroShape, type ScalarShape } from "./avro-shape.ts";
import type { AvroSchema } from "./schema.ts";

export const schemaText = (shape: AvroShape): string => JSON.stringify(schemaOf(shape, new Set()));

function schemaOf(shape: AvroShape, known: Set<string>): AvroSchema {
  if ("name" in shape) {
    // A leading dot says that the name is whole.
    if (known.has(shape.name)) return shape.name.includes(".") ? shape.name : `.${shape.name}`;
    known.add(shape.name);
  }
  if (isScalar(shape)) return scalar(shape);
  switch (shape.kind) {
    case "union":
      return shape.branches.map((branch) => schemaOf(branch, known));
    case "array":
      return { type: "array", items: schemaOf(shape.items, known) };
    case "map":
      return { type: "map", values: schemaOf(shape.values, known) };
    case "enum":
      return { ...named(shape), symbols: shape.symbols };
    case "record": {
      const fields = shape.fields.map((f) => ({ name: f.name, type: schemaOf(f.shape, known) }));
      return { ...named(shape), fields };
    }
  }
}

function scalar(shape: ScalarShape): AvroSchema {
  const base =
    shape.kind === "fixed" ? { ...named(shape), size: shape.size } : { type: shape.kind };
  if (shape.logical === null) return shape.kind === "fixed" ? base : shape.kind;
  const { kind, ...digits } = shape.logical;
  return { ...base, ...digits, logicalType: kind };
}

const named = ({ kind, name }: { readonly kind: string; readonly name: string }): object => ({
  type: kind,
  name: name.slice(name.lastIndexOf(".") + 1),
  namespace: name.slice(0, Math.max(name.lastIndexOf("."), 0)),
});
