// Big-endian two's complement of any length: how Avro stores the unscaled value of a decimal.

const SAFE_BYTES = 6;

/** The integer in bytes[start, end); at least one byte. */
export function readTwosComplement(bytes: Buffer, start: number, end: number): bigint {
  const length = end - start;
  if (length <= SAFE_BYTES) return BigInt(bytes.readIntBE(start, length));
  if (length === 8) return bytes.readBigInt64BE(start);
  const unsigned = BigInt(`0x${bytes.toString("hex", start, end)}`);
  return BigInt.asIntN(length * 8, unsigned);
}

/** The fewest bytes with room for the integer with its sign. */
export function twosComplementLength(value: bigint): number {
  const magnitude = value < 0n ? -value - 1n : value;
  if (magnitude < 0x80n) return 1;
  if (magnitude < 0x8000n) return 2;
  if (magnitude < 0x800000n) return 3;
  if (magnitude < 0x80000000n) return 4;
  // The sign takes one bit more than the magnitude.
  return (magnitude.toString(2).length >> 3) + 1;
}

/** Writes exactly `length` bytes at `at`; `length` must be at least twosComplementLength(value). */
export function writeTwosComplement(
  value: bigint,
  bytes: Buffer,
  at: number,
  length: number,
): void {
  if (length <= SAFE_BYTES) {
    bytes.writeIntBE(Number(value), at, length);
    return;
  }
  const unsigned = BigInt.asUintN(length * 8, value);
  bytes.write(unsigned.toString(16).padStart(length * 2, "0"), at, length, "hex");
}
