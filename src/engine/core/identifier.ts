// Names and texts inside SQL. A name is checked, then always quoted; a text becomes a literal only in DDL, where Postgres
// takes no parameters. Everything else goes through parameters.
import { ConfigError } from "./errors.ts";

const SHAPE = /^[a-z_][a-z0-9_]*$/;
const LENGTH_MAX = 60;

export const isIdentifier = (name: string): boolean =>
  SHAPE.test(name) && name.length <= LENGTH_MAX;

/** A name as SQL writes it. Throws MILL_BUILD_NAME_INVALID unless it is snake_case of at most 60 characters. */
export function quoted(name: string): string {
  if (isIdentifier(name)) return `"${name}"`;
  const shown = JSON.stringify(name.slice(0, LENGTH_MAX));
  throw new ConfigError(
    "MILL_BUILD_NAME_INVALID",
    `${shown}: expected snake_case of at most ${String(LENGTH_MAX)} characters`,
  );
}

/** A text as an SQL literal, whatever standard_conforming_strings says of backslashes. */
export function literal(text: string): string {
  if (text.includes("\0"))
    throw new ConfigError("MILL_BUILD_OPTION", "a text for Postgres holds a NUL character");
  const doubled = text.replaceAll("'", "''");
  return text.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}

/** `orderId` → `order_id`, `SKUCode` → `sku_code`; snake_case stays as it is. */
export const snakeCase = (field: string): string =>
  field
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase();
