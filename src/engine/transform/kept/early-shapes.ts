// Structures of the values that wait in joins and orders, noted before what lies there is read.
import type { CompileOptions } from "../operator.ts";

/** So many values of an operator are looked at before it reads what it has kept. */
const EARLY_MAX = 200;

/**
 * Notes structures of an operator's values before its first entries are read: after a deploy these may be of other code, and are
 * read at once where this one makes the same.
 */
export class EarlyShapes {
  readonly #note: CompileOptions["noteShape"];
  #left = EARLY_MAX;

  constructor({ noteShape }: CompileOptions) {
    this.#note = noteShape;
  }

  note(under: string, value: unknown): void {
    if (this.#left <= 0) return;
    this.#left--;
    try {
      this.#note?.(under, value);
    } catch {
      // A value that cannot be written fails where it is.
    }
  }
}
