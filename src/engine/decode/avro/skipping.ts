// Moves over values that nobody reads: fields of a writer that the topic's schema does not have. As strict about the bytes
// as reading is, since what follows must begin at the right one.
import {
  isScalar,
  type AvroShape,
  type Primitive,
  type ScalarShape,
} from "../../core/avro-shape.ts";
import { broken } from "../faults.ts";
import { countEmpty, emptyIn, EmptyValues, isCounted } from "./empty-values.ts";
import { blockOf } from "./strict-types.ts";
import type { Tap } from "./tap.ts";

export type SkipValue = (tap: Tap) => void;

/** Compiled once for each field that is skipped. */
export const skipperOf = (shape: AvroShape): SkipValue => new Skippers().of(shape);

const primitives: Readonly<Record<Primitive, SkipValue>> = {
  null: () => undefined,
  boolean: (tap) => tap.skipBoolean(),
  int: (tap) => tap.skipInt(),
  long: (tap) => tap.skipLong(),
  float: (tap) => tap.skipFloat(),
  double: (tap) => tap.skipDouble(),
  bytes: (tap) => tap.skipBytes(),
  string: (tap) => tap.skipString(),
};

const scalar = (shape: ScalarShape): SkipValue =>
  shape.kind === "fixed" ? (tap) => tap.skipFixed(shape.size) : primitives[shape.kind];

class Skippers {
  readonly #empty = new EmptyValues();
  /** A record may contain itself. */
  readonly #records = new Map<AvroShape, SkipValue>();

  of(shape: AvroShape): SkipValue {
    return countEmpty(this.#of(shape), this.#empty.of(shape));
  }

  #of(shape: AvroShape): SkipValue {
    if (isScalar(shape)) return scalar(shape);
    switch (shape.kind) {
      case "record":
        return this.#record(shape);
      case "union":
        return oneOf(shape.branches.map((branch) => this.of(branch)));
      case "array":
        return repeated(this.of(shape.items));
      case "map":
        return repeated(this.#entry(shape.values));
      case "enum":
        return symbolOf(shape.symbols.length);
    }
  }

  #record(shape: Extract<AvroShape, { kind: "record" }>): SkipValue {
    const known = this.#records.get(shape);
    if (known !== undefined) return known;
    const fields: SkipValue[] = [];
    const skip: SkipValue = (tap) => {
      for (const field of fields) field(tap);
    };
    this.#records.set(shape, skip);
    for (const field of shape.fields) fields.push(this.of(field.shape));
    return skip;
  }

  #entry(values: AvroShape): SkipValue {
    const value = this.of(values);
    const entry: SkipValue = (tap) => {
      tap.skipString();
      value(tap);
    };
    return countEmpty(entry, this.#empty.of(values));
  }
}

const repeated =
  (item: SkipValue): SkipValue =>
  (tap) => {
    const empty = emptyIn(item);
    for (let n = blockOf(tap, empty); n > 0; n = blockOf(tap, empty))
      for (let i = 0; i < n; i++) item(tap);
  };

const oneOf =
  (branches: readonly SkipValue[]): SkipValue =>
  (tap) => {
    const branch = branches[tap.readLong()];
    if (branch === undefined) throw broken("a union has no branch of this number");
    const empty = emptyIn(branch);
    if (isCounted(empty)) tap.charge(empty);
    branch(tap);
  };

const symbolOf =
  (count: number): SkipValue =>
  (tap) => {
    const index = tap.readLong();
    if (index < 0 || index >= count) throw broken("there is no such enum symbol");
  };
