// The error for a cell or a field that is not what the schema says. It names what was expected and never quotes
// what was found: files hold personal data, and messages end in logs.

export class Mismatch extends Error {
  readonly expected: string;
  /** The column or field, outermost first: "address.street"; empty for the whole line. */
  readonly field: string;
  /** Other fields of the same line that are wrong too. */
  readonly others: readonly Mismatch[];

  constructor(expected: string, field = "", others: readonly Mismatch[] = []) {
    super(`expected ${expected}`);
    this.name = "Mismatch";
    this.expected = expected;
    this.field = field;
    this.others = others;
  }

  within(field: string): Mismatch {
    const others = this.others.map((other) => other.within(field));
    return new Mismatch(
      this.expected,
      this.field === "" ? field : `${field}.${this.field}`,
      others,
    );
  }

  /** This one, and `next` behind it. */
  and(next: Mismatch): Mismatch {
    return new Mismatch(this.expected, this.field, [...this.others, next, ...next.others]);
  }
}
