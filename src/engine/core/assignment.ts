// Assigns partition indexes: partition i of every topic of a group goes to one member. Sticky (a member keeps what it
// had where balance allows) and balanced within one. Pure, and the same for every order of its input, so any member may
// compute it.

export interface MemberClaim {
  readonly id: string;
  readonly identity: string;
  /** Partition indexes that the member had before; out of range or claimed twice does no harm. */
  readonly owned: readonly number[];
}

/** Partition indexes, ascending, by member id. */
export function assignPartitions(
  members: readonly MemberClaim[],
  partitions: number,
): Map<string, number[]> {
  if (members.length === 0) return new Map();
  const ordered = [...members].sort(
    (a, b) => compare(a.identity, b.identity) || compare(a.id, b.id),
  );
  const free = new Set(Array.from({ length: partitions }, (_, index) => index));
  const shares = ordered.map((member) => claim(member.owned, free));
  const least = Math.floor(partitions / members.length);
  giveUpExcess(shares, free, { least, larger: partitions % members.length });
  fill(
    shares,
    [...free].sort((a, b) => a - b),
    least,
  );
  return new Map(
    ordered.map((member, i) => [member.id, (shares[i] ?? []).sort((a, b) => a - b)] as const),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Takes out of `free` what is claimed; the first claim of a partition wins. */
function claim(owned: readonly number[], free: Set<number>): number[] {
  return owned.filter((partition) => free.delete(partition));
}

/** `larger` members may keep one more than `least`: those that have it already, so that it need not move. */
function giveUpExcess(
  shares: readonly number[][],
  free: Set<number>,
  size: { readonly least: number; readonly larger: number },
): void {
  let larger = size.larger;
  for (const share of shares) {
    const isLarger = share.length > size.least && larger > 0;
    if (isLarger) larger--;
    for (const partition of share.splice(size.least + (isLarger ? 1 : 0))) free.add(partition);
  }
}

function fill(shares: readonly number[][], rest: number[], least: number): void {
  for (const share of shares) share.push(...rest.splice(0, Math.max(0, least - share.length)));
  for (const share of shares) if (share.length === least) share.push(...rest.splice(0, 1));
}
