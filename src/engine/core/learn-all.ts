// Learns writers' schemas until nothing lacks one. A codec names one at a time, and what a join keeps is a list of records, each of
// which may have another writer.

/** `lacking` says what is missing now; an id that was asked for is not asked for again. */
export async function learnAll(
  lacking: () => Iterable<number>,
  learn: (ids: ReadonlySet<number>) => Promise<void>,
): Promise<void> {
  const asked = new Set<number>();
  for (;;) {
    const fresh = new Set([...lacking()].filter((id) => !asked.has(id)));
    if (fresh.size === 0) return;
    for (const id of fresh) asked.add(id);
    await learn(fresh);
  }
}
