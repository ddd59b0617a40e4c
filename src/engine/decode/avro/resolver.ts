// Reads what another schema wrote: the actions of core/avro-resolution.ts compiled into functions over the bytes. avsc
// writes the code for records, as it does for its own resolvers; the rules of what reads what are not its own.
import avsc from "avsc";
import {
  pathOf,
  refusalsIn,
  isRefused,
  type Action,
  type BranchAction,
  type RecordAction,
} from "../../core/avro-resolution.ts";
import type { AvroShape, ScalarShape } from "../../core/avro-shape.ts";
import { breach, broken, type Fault } from "../faults.ts";
import { wrapperOf } from "./avro-types.ts";
import { ValueType, type InnerType } from "./logical-types.ts";
import { countEmpty, emptyIn, isCounted } from "./empty-values.ts";
import { skipperOf, type SkipValue } from "./skipping.ts";
import { StrictArray, StrictMap } from "./strict-types.ts";
import type { Tap } from "./tap.ts";

interface Resolver {
  _read(tap: Tap): unknown;
}

interface RecordInternals {
  readonly fields: readonly { readonly type: InnerType; defaultValue(): unknown }[];
  readonly recordConstructor: unknown;
  _getConstructorName(): string;
}

/** Compiles the actions of a whole schema. */
export class ResolverCompiler {
  /** Begins the reason of what cannot be read. */
  readonly #sentence: string;
  readonly #records = new Map<RecordAction, Resolver>();
  readonly #refused = new Map<Action, boolean>();

  constructor(sentence: string) {
    this.#sentence = sentence;
  }

  resolver(action: Action, type: InnerType, path = ""): Resolver {
    if (isRefused(action, this.#refused)) return throwing(this.#refusal(action, path));
    switch (action.kind) {
      case "read":
        return type;
      case "scalar":
        return { _read: scalarRead(type, action.reader, action.writer) };
      case "enum":
        return { _read: enumRead(action.symbols) };
      case "array":
        return this.#array(action.of, type, path);
      case "map":
        return this.#map(action.of, type, path);
      case "choice":
        return this.#choice(action.branches, type, path);
      case "branch":
        return this.#branch(action, type, path);
      case "record":
        return this.#record(action, type, path);
      case "refused":
        return throwing(this.#refusal(action, path));
    }
  }

  #refusal(action: Action, path: string): Fault {
    return breach(`${this.#sentence}: ${refusalsIn(action, path).join("; ")}`);
  }

  #array(of: Action, type: InnerType, path: string): Resolver {
    const { itemsType } = type as unknown as { itemsType: InnerType };
    const items = this.resolver(of, itemsType, `${path}[]`);
    const read = StrictArray.prototype._read;
    return { _read: (tap) => read.call({ itemsType: items as InnerType }, tap) };
  }
  #map(of: Action, type: InnerType, path: string): Resolver {
    const { valuesType } = type as unknown as { valuesType: InnerType };
    const values = this.resolver(of, valuesType, `${path}{}`);
    const read = StrictMap.prototype._read;
    return { _read: (tap) => read.call({ valuesType: values as InnerType }, tap) };
  }

  #choice(branches: readonly Action[], type: InnerType, path: string): Resolver {
    const resolvers = branches.map((branch) => this.resolver(branch, type, path));
    return {
      _read(tap) {
        const resolver = resolvers[tap.readLong()];
        if (resolver === undefined) throw broken("a union has no branch of this number");
        const empty = emptyIn(resolver);
        if (isCounted(empty)) tap.charge(empty);
        return resolver._read(tap);
      },
    };
  }

  #branch({ union, index, of }: BranchAction, type: InnerType, path: string): Resolver {
    const { types } = type as unknown as { types: readonly InnerType[] };
    const branch = types[index] as InnerType;
    const inner = this.resolver(of, branch, path);
    const wrapped = union.wrapped ? wrapperOf(branch) : null;
    if (wrapped === null) return inner;
    return countEmpty({ _read: (tap: Tap) => wrapped(inner._read(tap)) }, emptyIn(inner));
  }

  /** avsc's code for a record, from fields that have their number for a name: so no name can disturb it. */
  #record(action: RecordAction, type: InnerType, path: string): Resolver {
    const known = this.#records.get(action);
    if (known !== undefined) return known;
    const resolver = { _read: (_tap: Tap): unknown => undefined };
    this.#records.set(action, resolver);
    const record = type as unknown as RecordInternals;
    const readerFields = record.fields.map((field, i) => ({
      name: `f${String(i)}`,
      aliases: [],
      defaultValue: () => field.defaultValue(),
      type: { createResolver: (made: unknown) => made },
    }));
    // A field that is not written has its default, which takes no bytes either.
    let empty = record.fields.length - action.steps.filter(({ read }) => read !== null).length;
    const writerFields: WriterField[] = [];
    for (const { read, written } of action.steps) {
      const last = writerFields.at(-1)?.type;
      if (read === null) {
        const skip = skipperOf(written);
        empty += emptyIn(skip);
        // Fields in a row that nobody reads are one: a writer may have very many.
        if (last !== undefined && "skips" in last) last.skips.push(skip);
        else writerFields.push(skipped(`w${String(writerFields.length)}`, [skip]));
        continue;
      }
      const at = pathOf(action, read.field, path);
      const inner = this.resolver(read.of, fieldType(record, read.field), at);
      empty += emptyIn(inner);
      writerFields.push({ name: `f${String(read.field)}`, type: inner });
    }
    countEmpty(resolver, action.steps.length === 0 ? Math.max(1, empty) : empty);
    const reader = {
      fields: readerFields,
      recordConstructor: record.recordConstructor,
      _getConstructorName: () => record._getConstructorName(),
    };
    recordCode._update.call(reader, resolver, { fields: writerFields }, {});
    return resolver;
  }
}

/** A field of a writer, as avsc's code for records takes it. */
interface WriterField {
  readonly name: string;
  readonly type: Resolver | { readonly skips: SkipValue[]; _skip(tap: Tap): void };
}

const skipped = (name: string, skips: SkipValue[]): WriterField => ({
  name,
  type: {
    skips,
    _skip(tap) {
      for (const skip of skips) skip(tap);
    },
  },
});

const fieldType = (record: RecordInternals, field: number): InnerType =>
  record.fields[field]?.type as InnerType;

const recordCode = avsc.types.RecordType.prototype as unknown as {
  _update(this: unknown, resolver: unknown, writer: unknown, options: unknown): void;
};

const throwing = (fault: Fault): Resolver => ({
  _read() {
    throw fault;
  },
});

const enumRead =
  (symbols: readonly (string | null)[]) =>
  (tap: Tap): unknown => {
    const symbol = symbols[tap.readLong()];
    if (symbol === undefined) throw broken("there is no such enum symbol");
    if (symbol === null) throw breach("the topic's enum does not have this symbol");
    return symbol;
  };

function scalarRead(type: InnerType, reader: ScalarShape, writer: ScalarShape) {
  if (type instanceof ValueType) return (tap: Tap): unknown => type.readFrom(tap, writer);
  const isReal = reader.kind === "float" || reader.kind === "double";
  if (isReal && (writer.kind === "int" || writer.kind === "long"))
    return realRead(reader.kind === "float", writer);
  if (writer.kind === "int" || writer.kind === "float") return primitiveReads[writer.kind];
  return (tap: Tap): unknown => type._read(tap);
}

const primitiveReads = {
  int: (tap: Tap): unknown => tap.readInt(),
  float: (tap: Tap): unknown => tap.readFloat(),
};

/** A whole number as the nearest float or double, as Avro's promotion says: 2^53 + 1 has none of its own. */
const realRead =
  (isFloat: boolean, writer: AvroShape) =>
  (tap: Tap): unknown => {
    const value = writer.kind === "int" ? tap.readInt() : Number(tap.readBigLong());
    return isFloat ? Math.fround(value) : value;
  };
