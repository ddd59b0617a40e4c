// A time as the first 8 bytes of a key, big-endian, so that keys sort by it; as a text (latin1), which is what maps are asked by.

const BYTES = 8;
/** Keys of windows share few times: those of the windows that are open. */
const KEPT = 10_000;
const known = new Map<number, string>();

export function orderedText(ms: number): string {
  const text = known.get(ms);
  if (text !== undefined) return text;
  const bytes = Buffer.alloc(BYTES);
  bytes.writeBigUInt64BE(BigInt(ms));
  const made = bytes.toString("latin1");
  if (known.size >= KEPT) known.clear();
  known.set(ms, made);
  return made;
}
