// Findings about one batch while its rows are tried: who was refused for sure, and who by an error that may be the
// table's fault as well. The code of such an error cannot show it, so the neighbours do: where rows pass the same statement,
// the row is at fault; where none passes, the table is, and nothing is written.
import type { FaultFacts, PostgresError } from "../../clients/postgres/fault.ts";
import type { TableLayout } from "../../core/table-layout.ts";
import { addedColumns } from "../../core/table-layout.ts";

/**
 * The patience with a trigger that says "come again" (RAISE with 40001, say). left: it is asked again · others: the row
 * is at fault, if rows beside it pass · over: the row is at fault.
 */
export type TrialPatience = "left" | "others" | "over";

/** So many rows are refused one by one, and none has passed: the rest need not be tried. */
const DOUBTFUL_MAX = 100;
const PLAN = "for the SQL that mends it: npx millrace tables plan";

export class Trial {
  /** Whether a statement without rows has been tried: one that fails so has no row at fault. */
  isProbed = false;
  readonly #target: string;
  readonly #columns: ReadonlySet<string>;
  readonly #patience: TrialPatience;
  readonly #doubtful: PostgresError[] = [];

  constructor(layout: TableLayout, patience: TrialPatience) {
    const own = layout.columns.map(({ name }) => name);
    this.#columns = new Set([...own, ...Object.values(addedColumns)]);
    this.#target = layout.target;
    this.#patience = patience;
  }

  /** Whether a row may be at fault, so that it is looked for. */
  isAboutRows({ facts: { fault, doubt } }: PostgresError): boolean {
    if (doubt === "patience") return this.#patience !== "left";
    return fault === "row" || doubt === "others";
  }

  /** Data that does not fit says nothing of the table: no need to ask it without rows. */
  needsProbe({ facts }: PostgresError): boolean {
    return !this.isProbed && (facts.server?.by !== "server" || this.#isDoubtful(facts));
  }

  /** A row was refused alone. Throws once it is plain that the table refuses them all. */
  refused(error: PostgresError, hasWritten: boolean): void {
    if (this.#isDoubtful(error.facts)) this.#doubtful.push(error);
    if (!hasWritten && this.#doubtful.length >= DOUBTFUL_MAX) this.#throwFirst();
  }

  /** Every row was tried. Throws when those in doubt have no neighbour that passed. */
  settle(hasWritten: boolean): void {
    if (!hasWritten && this.#doubtful.length > 0) this.#throwFirst();
    this.#doubtful.length = 0;
  }

  /** The error as one of the table, with what leads on. */
  asStop(error: PostgresError): PostgresError {
    const { fault, doubt, server } = error.facts;
    // A trigger that says so of a statement without rows, too: it asks for patience with the table.
    if (fault === "transient" || doubt === "patience") return error;
    if (this.#isExtraColumn(error.facts)) {
      const column = `"${String(server?.column).replaceAll('"', '""')}"`;
      const sql = `ALTER TABLE ${this.#target} ALTER COLUMN ${column} DROP NOT NULL`;
      return error.asStop(`nothing is declared for it: ${sql}`, "MILL_TABLE_DIFFERS");
    }
    return error.asStop((server?.within ?? null) === null ? PLAN : "mend that function");
  }

  #throwFirst(): never {
    throw this.asStop(this.#doubtful[0] as PostgresError);
  }

  #isDoubtful(facts: FaultFacts): boolean {
    if (facts.doubt === "patience") return this.#patience !== "over";
    return facts.doubt === "others" || this.#isExtraColumn(facts);
  }

  /** Nobody has declared a column that must not be null: a trigger may fill it for some rows, or nothing does. */
  #isExtraColumn({ sqlState, server }: FaultFacts): boolean {
    if (sqlState !== "23502" || server?.within !== null || server.column === undefined)
      return false;
    return !this.#columns.has(server.column);
  }
}
