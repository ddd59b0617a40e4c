// What steps make of values, for the pipeline and for the oracle alike: nothing of time is here.

const mixed = (n: number, salt: number): number => {
  const h = Math.imul((n % 1_000_003) + salt * 97 + 1, 0x9e3779b1);
  return (h ^ (h >>> 15)) >>> 0;
};

export const keyFor = (n: number, { salt, keys }: { salt: number; keys: number }): string =>
  `k${String(mixed(n, salt) % keys)}`;

/** None, itself, or itself twice. */
export const copiesOf = <R extends { readonly n: number }>(row: R, salt: number): readonly R[] =>
  [[], [row], [row, { ...row, n: row.n + 1 }], [row]][mixed(row.n, salt) % 4] ?? [];

interface Numbered {
  readonly n: number;
}

/** The result of a join: another one for each pair, and for each record alone. */
export const pairOf = (left: Numbered | null, right: Numbered | null): number =>
  1 + (((left?.n ?? 1) * 31 + (right?.n ?? 2) * 17) % 1_000_003);
