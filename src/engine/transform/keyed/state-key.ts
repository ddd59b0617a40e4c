// Under which key a record's state lies: its own key, and for `distinct` what it is compared by.
import { isDecimal } from "../../core/decimal.ts";
import { kindOf, Mistake, settled } from "../../core/mistake.ts";
import type { Operation } from "../../core/plan.ts";
import type { StateKey } from "../../core/state.ts";
import type { Cursor } from "../operator.ts";

export type Stateful = Extract<Operation, { kind: "distinct" | "aggregate" | "map-with-state" }>;

/** Null for a record without a key. */
export type StateKeyOf = (value: unknown, cursor: Cursor) => StateKey | null;

export const stateKeyOf = (operation: Stateful): StateKeyOf =>
  operation.kind === "distinct" ? repeatKey(operation) : recordKey;

export const recordKey: StateKeyOf = (_value, { record }) => {
  const { key } = record.raw;
  return key === null ? null : { id: key.toString("latin1"), bytes: key };
};

/**
 * The record's key, 0x00, and the parts as JSON, which has no 0x00: so no two pairs have the same bytes. A part's type
 * counts: 1 and "1" are two things, decimals of the same value are one.
 */
const repeatKey =
  ({ by }: Extract<Operation, { kind: "distinct" }>): StateKeyOf =>
  (value, { record }) => {
    const { key } = record.raw;
    if (key === null) return null;
    const given = settled(by(value, record.context));
    const parts = (Array.isArray(given) ? given : [given]).map(partOf);
    const bytes = Buffer.concat([key, Buffer.from(`\0${JSON.stringify(parts)}`, "utf8")]);
    return { id: bytes.toString("latin1"), bytes };
  };

function partOf(part: unknown): unknown {
  if (typeof part === "string" || typeof part === "boolean" || part === null) return part;
  if (typeof part === "number" && Number.isFinite(part)) return part;
  if (typeof part === "bigint") return { $i: String(part) };
  if (isDecimal(part)) return { $d: part.toString() };
  const kinds = "texts, finite numbers, bigints, Decimals, booleans and null compare";
  throw new Mistake(`${kinds}; received ${kindOf(settled(part))}`);
}
