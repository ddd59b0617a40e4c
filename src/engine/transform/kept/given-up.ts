// Entries that an operator has given up since its own callback had failed: a timer, or a record that no partner of a join came for.
// Their letter has them as they were, and brings them back to the operator, which works them again.
import { anything, fields, oneOf, optional, text, whole, type Check } from "../../core/foreign.ts";
import { SIDE_NAMES } from "../../core/join-buffer.ts";
import type { NotedShape } from "../../core/schema.ts";

/** Times are epoch ms. */
export interface GivenUpTimer {
  readonly timer: string;
  readonly due: number;
  /** The origin time of what has set it. */
  readonly set: number;
}

/** A record of a join that has found no partner. Times are epoch ms. */
export interface GivenUpRecord {
  readonly side: (typeof SIDE_NAMES)[number];
  readonly time: number;
  readonly origin: number;
  readonly value: unknown;
  /** The id of the structure of its value; left out where nobody compares them. */
  readonly shape?: string;
}

/** The entries that an operator takes back. */
export interface GivenUpForm {
  readonly check: Check;
  /** The structure of the value of an entry that was checked. */
  shapeOf(entry: unknown): NotedShape | null;
}

/** Entries as a letter of them brings them back. */
export interface ReturnedEntries {
  readonly at: number;
  readonly entries: readonly unknown[];
}

export const givenUpTimers: GivenUpForm = {
  check: fields({ timer: text(300), due: whole(), set: whole() }),
  shapeOf: () => null,
};

const givenUpRecord: Check = fields({
  ...{ side: oneOf(SIDE_NAMES), time: whole(), origin: whole() },
  ...{ value: anything, shape: optional(text(100)) },
});

/** `names`: by side, the name under which structures of its values are noted. */
export const givenUpRecords = (names: readonly string[]): GivenUpForm => ({
  check: givenUpRecord,
  shapeOf(entry) {
    const { side, shape: id } = entry as GivenUpRecord;
    const notedUnder = names[SIDE_NAMES.indexOf(side)];
    return id === undefined || notedUnder === undefined ? null : { notedUnder, id };
  },
});
