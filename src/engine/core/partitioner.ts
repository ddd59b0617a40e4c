// Which partition a key goes to: murmur2 as in Java's producer (org.apache.kafka.common.utils.Utils.murmur2),
// so our keys meet those that Java and kafkajs producers write.

const M = 0x5bd1e995;

export function murmur2(data: Uint8Array): number {
  const length = data.length;
  let h = 0x9747b28c ^ length;
  const words = length >> 2;
  for (let i = 0; i < words; i++) {
    const at = i << 2;
    let k =
      (data[at] as number) |
      ((data[at + 1] as number) << 8) |
      ((data[at + 2] as number) << 16) |
      ((data[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = words << 2;
  const left = length & 3;
  if (left > 2) h ^= (data[rest + 2] as number) << 16;
  if (left > 1) h ^= (data[rest + 1] as number) << 8;
  if (left > 0) h = Math.imul(h ^ (data[rest] as number), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** The partition of a key, of `partitions` in all. A record without key stays on `fallback` modulo that number. */
export const partitionOf = (
  key: Uint8Array | null,
  partitions: number,
  fallback: number,
): number => (key === null ? fallback % partitions : (murmur2(key) & 0x7fffffff) % partitions);
