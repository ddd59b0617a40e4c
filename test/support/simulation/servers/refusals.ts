// How a table refuses a row: a CHECK, triggers that raise what they like, a policy. The engine sees what the driver would
// have thrown, so that it judges by the same rules.
import pg from "pg";
import { isRefused } from "../values.ts";
import type { Refuses } from "./statements.ts";

const raised = ["P0001", "45000", "ABCDE", "42P01", "XX001", "0A000", "P0002", "F0000"];
const refusals: readonly (readonly [string, string])[] = [
  ["23514", "ExecConstraints"],
  ["42501", "ExecWithCheckOptions"],
  ...raised.map((code) => [code, "exec_stmt_raise"] as const),
];

/** Equal rows are refused alike. */
export const refuseRow: Refuses = (_, row) => {
  const n = Math.floor(Number(row["n"]));
  if (!isRefused({ n, i: String(row["i"]) })) return null;
  // The half of them by a CHECK, which costs no look at the table without rows.
  const [code, routine] = refusals[Math.abs(n) % (2 * refusals.length)] ?? refusals[0] ?? [];
  return Object.assign(new pg.DatabaseError("refused", 0, "error"), { code, routine });
};
