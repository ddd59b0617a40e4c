// Who gets which partition index of a group. Co-partitioned: an index means that partition of every topic of the group.
// Sticky: members keep what they had as far as balance (within one) allows. Pure; the same input gives the same answer.

export interface Claimant {
  readonly id: string;
  /** Partition indexes of the last assignment, whether or not they still hold. */
  readonly owned: readonly number[];
}

/** Every index below `partitions` goes to exactly one member; every member has an entry. */
export function assignPartitions(
  members: readonly Claimant[],
  partitions: number,
): Map<string, number[]> {
  const assigned = new Map<string, number[]>();
  if (members.length === 0) return assigned;
  const claims = undisputed(members, partitions);
  const share = Math.floor(partitions / members.length);
  let larger = partitions % members.length;
  // Those who hold most are first in line for the larger shares, so that least moves.
  const inLine = [...claims].sort(
    ([a, ofA], [b, ofB]) => ofB.length - ofA.length || (a < b ? -1 : 1),
  );
  const room = new Map<string, number>();
  for (const [id, claimed] of inLine) {
    const quota = larger-- > 0 ? share + 1 : share;
    assigned.set(id, claimed.slice(0, quota));
    room.set(id, quota - Math.min(claimed.length, quota));
  }
  const free = freeIndexes(assigned, partitions);
  for (const [id, places] of room) assigned.get(id)?.push(...free.splice(0, places));
  for (const indexes of assigned.values()) indexes.sort((a, b) => a - b);
  return assigned;
}

/** What each member claims, without indexes that are not there and those that a member before it claims too. */
function undisputed(members: readonly Claimant[], partitions: number): Map<string, number[]> {
  const taken = new Set<number>();
  const claims = new Map<string, number[]>();
  for (const { id, owned } of [...members].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const claimed = [...new Set(owned)]
      .filter((index) => Number.isInteger(index) && index >= 0 && index < partitions)
      .filter((index) => !taken.has(index))
      .sort((a, b) => a - b);
    for (const index of claimed) taken.add(index);
    claims.set(id, claimed);
  }
  return claims;
}

function freeIndexes(
  assigned: ReadonlyMap<string, readonly number[]>,
  partitions: number,
): number[] {
  const taken = new Set([...assigned.values()].flat());
  return Array.from({ length: partitions }, (_, index) => index).filter(
    (index) => !taken.has(index),
  );
}
