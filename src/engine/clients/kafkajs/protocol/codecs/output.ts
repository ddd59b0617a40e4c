// The output of a codec: one buffer of exactly the size that was measured before it was made.

/** The bytes would become more than the bound. */
export class TooLarge extends Error {
  constructor(bytesMax: number) {
    super(`more than ${String(bytesMax)} bytes`);
    this.name = "TooLarge";
  }
}

/** Throws when `bytes` are more than the bound. */
export function admit(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) throw new TooLarge(bytesMax);
}

/** Below it a loop is faster than a call. */
const SHORT = 32;

export class Output {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafe(bytes);
  }

  literal(input: Buffer, from: number, length: number): void {
    if (from + length > input.length) throw new RangeError("a literal beyond the input");
    this.#room(length);
    this.at += input.copy(this.bytes, this.at, from, from + length);
  }

  /** A copy that reaches into what it writes repeats the pattern. */
  repeat(distance: number, length: number, start = 0): void {
    const from = this.at - distance;
    if (distance === 0 || from < start) throw new RangeError("a copy from outside the output");
    this.#room(length);
    const { bytes, at } = this;
    if (length <= SHORT) for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i] as number;
    else fill(bytes, { from, at, end: at + length });
    this.at += length;
  }

  #room(length: number): void {
    if (this.at + length > this.bytes.length) throw new RangeError("more output than was measured");
  }
}

/** The pattern doubles with every copy. */
function fill(bytes: Buffer, of: { from: number; at: number; end: number }): void {
  for (let { from, at } = of; at < of.end;) {
    const length = Math.min(at - from, of.end - at);
    bytes.copyWithin(at, from, from + length);
    at += length;
    from = of.from;
  }
}
