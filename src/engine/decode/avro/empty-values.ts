// Values that take no bytes: null, an empty record, a fixed of no bytes, the default of a field that was not written. A few
// bytes can ask for millions of them, so each type is known by how many it has, and a record's are counted in sum.
import type { AvroShape } from "../../core/avro-shape.ts";

/** How many values without bytes each value of the shape has. Those behind a list or a union are counted when it is read. */
export class EmptyValues {
  readonly #records = new Map<AvroShape, number>();

  of(shape: AvroShape): number {
    if (shape.kind === "record") return this.#record(shape);
    return shape.kind === "null" || (shape.kind === "fixed" && shape.size === 0) ? 1 : 0;
  }

  #record(shape: Extract<AvroShape, { kind: "record" }>): number {
    const known = this.#records.get(shape);
    if (known !== undefined) return known;
    // A record that contains itself directly has no end, and cannot be written.
    this.#records.set(shape, 0);
    const sum = shape.fields.reduce((all, field) => all + this.of(field.shape), 0);
    const count = shape.fields.length === 0 ? 1 : sum;
    this.#records.set(shape, count);
    return count;
  }
}

/** By the type, resolver or skipper that reads them. */
const counts = new WeakMap<object, number>();

export function countEmpty<T extends object>(reader: T, count: number): T {
  if (count > 0) counts.set(reader, count);
  return reader;
}
export const emptyIn = (reader: object): number => counts.get(reader) ?? 0;

/** For a branch of a union, whose number has taken a byte already. */
export const isCounted = (empty: number): boolean => empty > 1;
