// The records that the broker has refused for what they are: all others are sent, and the command says which these are.
import type { RefusedRow } from "../data/send.ts";
import { MillraceError } from "../engine/core/errors.ts";
import { grouped } from "./progress.ts";

const SHOWN_MAX = 10;

export class RefusedRows {
  readonly #topic: string;
  readonly #rows: RefusedRow[] = [];

  constructor(topic: string) {
    this.#topic = topic;
  }

  get count(): number {
    return this.#rows.length;
  }

  readonly add = (row: RefusedRow): void => void this.#rows.push(row);

  /** Throws when there are some. Lines are those of the file; numbers count the records of a generator from 1 on. */
  check(): void {
    if (this.count === 0) return;
    const shown = this.#rows
      .slice(0, SHOWN_MAX)
      .map(({ line, number, why }) =>
        line === null ? `record ${String(number)}: ${why}` : `line ${String(line)}: ${why}`,
      );
    const more = this.count > SHOWN_MAX ? `; and ${String(this.count - SHOWN_MAX)} more` : "";
    throw new MillraceError(
      "MILL_OUTPUT_REFUSED",
      `${grouped(this.count)} refused, all others are in ${this.#topic}. Mend these and send them alone: ${shown.join("; ")}${more}`,
    );
  }
}
