// A reader for a made-up writer: the same schema after a few changes, such as years of a topic's life make. Some of them
// cannot be read any more, and that is a case too.
import {
  branchOf,
  fullName,
  type EnumModel,
  type FieldModel,
  type FixedModel,
  type Model,
  type Named,
  type Primitive,
  type RecordModel,
} from "./model.ts";
import type { Chance } from "../../../support/chance.ts";

const nothing: Model = { t: "primitive", p: "null", more: {} };
const plain = (p: Primitive, more: object = {}): Model => ({ t: "primitive", p, more });

const PROMOTED: Readonly<Partial<Record<Primitive, readonly Primitive[]>>> = {
  int: ["long", "float", "double"],
  long: ["float", "double"],
  float: ["double"],
  string: ["bytes"],
  bytes: ["string"],
};

/** Other meanings of the same bytes. */
const OTHER_UNITS: Readonly<Partial<Record<Primitive, readonly object[]>>> = {
  int: [{ logicalType: "date" }, { logicalType: "time-millis" }],
  long: [
    { logicalType: "timestamp-millis" },
    { logicalType: "timestamp-micros" },
    { logicalType: "local-timestamp-millis" },
    { logicalType: "bigint" },
  ],
  bytes: [
    { logicalType: "decimal", precision: 20, scale: 4 },
    { logicalType: "decimal", precision: 3, scale: 2 },
  ],
  string: [{ logicalType: "uuid" }],
};

/** Types with defaults of every kind, for fields that the writer does not have. */
const added: readonly (readonly [() => Model, unknown])[] = [
  [() => plain("null"), null],
  [() => plain("boolean"), true],
  [() => plain("int"), -5],
  [() => plain("long"), 2 ** 40],
  [() => plain("float"), 1.5],
  [() => plain("double"), 3],
  [() => plain("string"), "ä"],
  [() => plain("bytes"), "\u0000\u00ff"],
  [() => plain("int", { logicalType: "date" }), 20_000],
  [() => plain("long", { logicalType: "timestamp-micros" }), 5],
  [() => plain("long", { logicalType: "local-timestamp-millis" }), 86_400_000],
  [() => plain("bytes", { logicalType: "decimal", precision: 6, scale: 2 }), "\u0004\u00d2"],
  [() => ({ t: "array", of: plain("int") }), [1, 2]],
  [() => ({ t: "map", of: { t: "array", of: plain("bytes") } }), { a: ["\u0001"] }],
  [() => ({ t: "union", branches: [nothing, plain("string")] }), null],
  [() => ({ t: "union", branches: [nothing, plain("string")] }), "second"],
  [() => ({ t: "union", branches: [plain("string"), plain("int")] }), 5],
  [() => ({ t: "union", branches: [plain("bytes"), plain("int")] }), "\u0007"],
  [() => anEnum(), "N"],
  [() => aFixed(), "\u0001\u00fe"],
  [() => aRecord(), { a: 5 }],
  [() => ({ t: "array", of: aRecord() }), [{ a: 1, b: "z" }, { a: 2 }]],
];
const name = (text: string) => ({ name: text, namespace: "added", aliases: [] });
const anEnum = (): EnumModel => ({
  ...name("NewEnum"),
  t: "enum",
  symbols: ["M", "N"],
  fallback: null,
});
const aFixed = (): FixedModel => ({ ...name("NewFixed"), t: "fixed", size: 2, more: {} });
const aRecord = (): RecordModel => {
  const more = {};
  const fields: FieldModel[] = [
    { name: "a", aliases: [], type: plain("int"), default: undefined, more },
    { name: "b", aliases: [], type: plain("string"), default: "b", more },
    { name: "c", aliases: [], type: plain("bytes"), default: "\u00e4", more },
  ];
  return { ...name("NewRecord"), t: "record", isError: false, fields };
};

/** Draws readers. A named type is changed once, wherever it is used. */
export class Readers {
  readonly #chance: Chance;
  #changed = new Map<Model, Model>();
  /** How often something is changed. */
  #rate = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  readerOf(writer: RecordModel): Model {
    this.#changed = new Map();
    this.#rate = this.#chance.of([0.05, 0.15, 0.3]);
    return this.#named(writer);
  }

  #is(factor = 1): boolean {
    return this.#chance.is(this.#rate * factor);
  }

  #type(model: Model): Model {
    const changed = this.#inside(model);
    if (this.#is(0.3)) return plain(this.#chance.of(["int", "string", "boolean"] as const));
    if (changed.t !== "union" && this.#is()) return this.#inUnion(changed);
    return changed;
  }

  #inUnion(model: Model): Model {
    if (branchOf(model) === "null") return { t: "union", branches: [model, plain("int")] };
    const branches = this.#chance.shuffled([nothing, model]);
    return { t: "union", branches };
  }

  #inside(model: Model): Model {
    switch (model.t) {
      case "primitive":
        return this.#primitive(model);
      case "array":
      case "map":
        return { t: this.#is(0.1) ? "array" : model.t, of: this.#type(model.of) };
      case "union":
        return this.#union(model.branches);
      case "record":
      case "enum":
      case "fixed":
        return this.#named(model);
    }
  }

  #primitive(model: Extract<Model, { t: "primitive" }>): Model {
    const promoted = PROMOTED[model.p];
    if (promoted !== undefined && this.#is()) return plain(this.#chance.of(promoted));
    if (this.#is()) return plain(model.p);
    return this.#is(0.5) ? plain(model.p, this.#chance.of(OTHER_UNITS[model.p] ?? [{}])) : model;
  }

  #union(branches: readonly Model[]): Model {
    let next = branches.map((branch) => this.#inside(branch));
    if (this.#is()) return next.find((branch) => branchOf(branch) !== "null") ?? nothing;
    if (this.#is()) next = this.#chance.shuffled(next);
    if (this.#is()) next.push(plain(this.#chance.of(["long", "double", "bytes"] as const)));
    if (next.length > 1 && this.#is()) next.pop();
    const first = next.filter((b, i) => next.findIndex((o) => branchOf(o) === branchOf(b)) === i);
    return { t: "union", branches: first.filter(({ t }) => t !== "union") };
  }

  #named(model: Named): Model {
    const known = this.#changed.get(model);
    if (known !== undefined) return known;
    const copy = { ...model };
    this.#changed.set(model, copy);
    if (this.#is(0.4)) copy.namespace = this.#chance.of(["shop", "moved"]);
    if (this.#is(0.3)) {
      // An alias without a namespace takes the reader's own.
      const isNameable = model.namespace !== "" || copy.namespace === "";
      copy.aliases = isNameable && this.#chance.is(0.7) ? [fullName(model)] : [];
      copy.name = `${model.name}New`;
    }
    if (copy.t === "record") this.#record(copy);
    else if (copy.t === "enum") this.#enum(copy);
    else if (this.#is(0.3)) copy.size += 1;
    return copy;
  }

  #record(copy: RecordModel): void {
    const fields = copy.fields.map((field) => this.#field(field));
    copy.fields = fields.filter((field) => isOurName(field.name) && !this.#is());
    if (this.#is()) copy.fields = this.#chance.shuffled(copy.fields);
    if (!this.#is(2)) return;
    const [type, value] = this.#chance.of(added);
    const named = { name: "added", aliases: [], type: type(), more: {} };
    copy.fields.push({ ...named, default: this.#is(0.3) ? undefined : value });
  }

  #field(field: FieldModel): FieldModel {
    const next = {
      ...field,
      type: this.#type(field.type),
      default: undefined,
      aliases: [] as string[],
    };
    if (!isOurName(field.name) && this.#chance.is(0.5)) {
      next.aliases = [field.name];
      next.name = "renamed";
    } else if (this.#is(0.5)) {
      next.aliases = this.#chance.is(0.8) ? [field.name] : [];
      next.name = `${field.name}_new`;
    }
    return next;
  }

  #enum(copy: EnumModel): void {
    if (this.#is()) copy.symbols = this.#chance.shuffled(copy.symbols);
    if (this.#is()) copy.symbols = [...copy.symbols.slice(1), "E"];
    if (this.#is()) copy.fallback = copy.symbols[0] ?? null;
  }
}

const isOurName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
