// The error for a cell or a field that is not what the schema says. It names what was expected and never quotes
// what was found: files hold personal data, and messages end in logs.

export class Mismatch extends Error {
  readonly expected: string;
  /** The column or field, outermost first: "address.street"; empty for the whole line. */
  readonly field: string;

  constructor(expected: string, field = "") {
    super(`expected ${expected}`);
    this.name = "Mismatch";
    this.expected = expected;
    this.field = field;
  }

  within(field: string): Mismatch {
    return new Mismatch(this.expected, this.field === "" ? field : `${field}.${this.field}`);
  }
}
