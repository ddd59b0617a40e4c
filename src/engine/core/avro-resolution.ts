// Resolves a writer's schema for a reader's: a tree of actions, made once for a pair of schemas. A part that cannot be
// read is an action too, since only the records that reach it are lost: an empty list, or another branch, is read.
import {
  branchFor,
  isSameOnTheWire,
  matchedFields,
  mismatch,
  scalarProblem,
} from "./avro-matching.ts";
import {
  branchNameOf,
  fieldPath,
  isScalar,
  type AvroShape,
  type EnumShape,
  type RecordShape,
  type ScalarShape,
  type UnionShape,
} from "./avro-shape.ts";

export type Action =
  /** The bytes mean the same in both: the reader's own way. */
  | { readonly kind: "read" }
  | { readonly kind: "scalar"; readonly reader: ScalarShape; readonly writer: ScalarShape }
  /** The reader's symbol for each of the writer's; null where it has none. */
  | { readonly kind: "enum"; readonly symbols: readonly (string | null)[] }
  | { readonly kind: "array" | "map"; readonly of: Action }
  | RecordAction
  /** The writer's union: its branch is read, then the action of this branch. */
  | { readonly kind: "choice"; readonly branches: readonly Action[] }
  /** The value becomes a branch of the reader's union. */
  | BranchAction
  | { readonly kind: "refused"; readonly reason: string };

export interface BranchAction {
  readonly kind: "branch";
  readonly union: UnionShape;
  readonly index: number;
  readonly of: Action;
}
export interface RecordAction {
  readonly kind: "record";
  readonly reader: RecordShape;
  /** In the writer's order. A record may contain itself: the list is filled after the action is known. */
  readonly steps: readonly FieldStep[];
  /** Fields of the reader that are not written and have no default. */
  readonly missing: readonly string[];
}
export interface FieldStep {
  readonly written: AvroShape;
  /** Null for a field that the reader does not have. */
  readonly read: { readonly field: number; readonly of: Action } | null;
}

export const resolutionOf = (reader: AvroShape, writer: AvroShape): Action =>
  new Resolution().of(reader, writer);

class Resolution {
  readonly #records = new Map<RecordShape, Map<RecordShape, RecordAction>>();

  of(reader: AvroShape, writer: AvroShape): Action {
    if (isSameOnTheWire(reader, writer)) return { kind: "read" };
    if (writer.kind === "union")
      return { kind: "choice", branches: writer.branches.map((b) => this.of(reader, b)) };
    if (reader.kind === "union") return this.#branch(reader, writer);
    return this.#single(reader, writer);
  }

  #single(reader: AvroShape, writer: AvroShape): Action {
    if (reader.kind === "record" && writer.kind === "record") return this.#record(reader, writer);
    if (reader.kind === "enum" && writer.kind === "enum") return enumAction(reader, writer);
    if (reader.kind === "array" && writer.kind === "array")
      return { kind: "array", of: this.of(reader.items, writer.items) };
    if (reader.kind === "map" && writer.kind === "map")
      return { kind: "map", of: this.of(reader.values, writer.values) };
    return scalarAction(reader, writer);
  }

  #branch(union: UnionShape, writer: AvroShape): Action {
    const index = branchFor(union.branches, writer, (branch) => this.#fits(branch, writer));
    const branch = union.branches[index];
    if (branch === undefined)
      return refused(`no branch of the union can read ${branchNameOf(writer)}`);
    return { kind: "branch", union, index, of: this.of(branch, writer) };
  }

  /** True when no field of a record prevents it. A field of a field is looked at when it is read. */
  #fits(reader: AvroShape, writer: AvroShape): boolean {
    const action = this.of(reader, writer);
    if (action.kind === "refused") return false;
    if (action.kind !== "record") return true;
    const isRefused = ({ read }: FieldStep): boolean => read?.of.kind === "refused";
    return action.missing.length === 0 && !action.steps.some(isRefused);
  }

  #record(reader: RecordShape, writer: RecordShape): RecordAction {
    const known = this.#records.get(reader) ?? new Map<RecordShape, RecordAction>();
    const found = known.get(writer);
    if (found !== undefined) return found;
    const steps: FieldStep[] = [];
    const matched = matchedFields(reader, writer);
    const missing = reader.fields
      .filter(({ hasDefault }, i) => matched[i] === -1 && !hasDefault)
      .map(({ name }) => name);
    const action: RecordAction = { kind: "record", reader, steps, missing };
    this.#records.set(reader, known.set(writer, action));
    const readers = new Map(matched.map((at, field) => [at, field]));
    writer.fields.forEach(({ shape }, at) => {
      const field = readers.get(at);
      const own = field === undefined ? undefined : reader.fields[field];
      const read =
        field === undefined || own === undefined ? null : { field, of: this.of(own.shape, shape) };
      steps.push({ written: shape, read });
    });
    return action;
  }
}

const refused = (reason: string): Action => ({ kind: "refused", reason });

function scalarAction(reader: AvroShape, writer: AvroShape): Action {
  if (!isScalar(reader)) return refused(mismatch(reader, writer));
  const problem = scalarProblem(reader, writer);
  if (problem !== null) return refused(problem);
  return { kind: "scalar", reader, writer: writer as ScalarShape };
}

function enumAction(reader: EnumShape, writer: EnumShape): Action {
  const own = new Set(reader.symbols);
  const symbols = writer.symbols.map((symbol) => (own.has(symbol) ? symbol : reader.default));
  return { kind: "enum", symbols };
}

/** Everything of a writer that cannot be read, each with its path. */
export function refusalsIn(
  action: Action,
  path: string,
  seen: Set<Action> = new Set(),
): readonly string[] {
  switch (action.kind) {
    case "refused":
      return [`${path === "" ? "the schema" : path}: ${action.reason}`];
    case "array":
    case "map":
      return refusalsIn(action.of, `${path}${action.kind === "array" ? "[]" : "{}"}`, seen);
    case "branch":
      return refusalsIn(action.of, path, seen);
    case "choice":
      return action.branches.flatMap((branch) => refusalsIn(branch, path, seen));
    case "record":
      return foundInRecord(action, path, seen);
    case "read":
    case "scalar":
    case "enum":
      return [];
  }
}

function foundInRecord(action: RecordAction, path: string, seen: Set<Action>): readonly string[] {
  if (seen.has(action)) return [];
  seen.add(action);
  return [
    ...action.steps.flatMap(({ read }) =>
      read === null ? [] : refusalsIn(read.of, pathOf(action, read.field, path), seen),
    ),
    ...action.missing.map((name) => `${fieldPath(path, name)}: is new and has no default`),
  ];
}

export const pathOf = (action: RecordAction, field: number, path: string): string =>
  fieldPath(path, action.reader.fields[field]?.name ?? "");

/** True when no value at all can be read: whoever comes here ends here. `known` keeps the answers for one tree. */
export function isRefused(action: Action, known: Map<Action, boolean>): boolean {
  const answer = known.get(action);
  if (answer !== undefined) return answer;
  // Inside itself a record is looked at once.
  known.set(action, false);
  const is = isWholeRefused(action, (inner) => isRefused(inner, known));
  known.set(action, is);
  return is;
}

function isWholeRefused(action: Action, within: (inner: Action) => boolean): boolean {
  if (action.kind === "refused") return true;
  if (action.kind === "branch") return within(action.of);
  if (action.kind === "choice") return action.branches.every(within);
  if (action.kind !== "record") return false;
  return (
    action.missing.length > 0 || action.steps.some(({ read }) => read !== null && within(read.of))
  );
}
