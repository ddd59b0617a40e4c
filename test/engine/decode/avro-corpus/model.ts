// Schemas as the generator thinks of them: a tree in which a named type is one object, however often it is used.

export type Primitive =
  "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string";

export type Model =
  | { readonly t: "primitive"; readonly p: Primitive; readonly more: object }
  | { readonly t: "array" | "map"; readonly of: Model }
  | { readonly t: "union"; readonly branches: readonly Model[] }
  | Named;
export type Named = RecordModel | EnumModel | FixedModel;

interface Name {
  name: string;
  namespace: string;
  aliases: string[];
}
export interface RecordModel extends Name {
  readonly t: "record";
  readonly isError: boolean;
  fields: FieldModel[];
}
export interface EnumModel extends Name {
  readonly t: "enum";
  symbols: string[];
  fallback: string | null;
}
export interface FixedModel extends Name {
  readonly t: "fixed";
  size: number;
  readonly more: object;
}
export interface FieldModel {
  name: string;
  aliases: string[];
  type: Model;
  /** Undefined: none. */
  default: unknown;
  /** Attributes that mean nothing to a reader: order, doc, words of others. */
  readonly more: object;
}

/** The name by which a union knows a branch. */
export const branchOf = (model: Model): string => {
  if (model.t === "primitive") return model.p;
  return "name" in model ? fullName(model) : model.t;
};
export const fullName = ({ namespace, name }: Name): string =>
  namespace === "" ? name : `${namespace}.${name}`;

/** The schema as JSON: a named type where it first occurs, its name from then on. */
export function schemaOf(model: Model, styles: () => number): unknown {
  return new Writer(styles).of(model, "");
}

class Writer {
  readonly #known = new Set<string>();
  readonly #styles: () => number;
  constructor(styles: () => number) {
    this.#styles = styles;
  }

  of(model: Model, around: string): unknown {
    switch (model.t) {
      case "primitive":
        return Object.keys(model.more).length === 0 ? model.p : { type: model.p, ...model.more };
      case "array":
        return { type: "array", items: this.of(model.of, around) };
      case "map":
        return { type: "map", values: this.of(model.of, around) };
      case "union":
        return model.branches.map((branch) => this.of(branch, around));
      case "record":
      case "enum":
      case "fixed":
        return this.#named(model, around);
    }
  }

  #named(model: Named, around: string): unknown {
    const full = fullName(model);
    if (this.#known.has(full))
      return model.namespace === around && this.#styles() < 0.5 ? model.name : full;
    this.#known.add(full);
    const head = { ...this.#head(model, around), ...aliasesOf(model.aliases) };
    if (model.t === "enum") {
      const fallback = model.fallback === null ? {} : { default: model.fallback };
      return { type: "enum", ...head, symbols: model.symbols, ...fallback };
    }
    if (model.t === "fixed") return { type: "fixed", ...head, size: model.size, ...model.more };
    const fields = model.fields.map((field) => this.#field(field, model.namespace));
    return { type: model.isError ? "error" : "record", ...head, fields };
  }

  /** A namespace is inherited, written beside the name or inside it. */
  #head({ name, namespace }: Named, around: string): object {
    if (namespace === around && this.#styles() < 0.5) return { name };
    if (namespace === "" || this.#styles() < 0.5) return { name, namespace };
    return { name: `${namespace}.${name}` };
  }

  #field({ name, aliases, type, default: value, more }: FieldModel, namespace: string): object {
    const fallback = value === undefined ? {} : { default: value };
    return { name, ...aliasesOf(aliases), type: this.of(type, namespace), ...fallback, ...more };
  }
}

const aliasesOf = (aliases: readonly string[]): object => (aliases.length === 0 ? {} : { aliases });
