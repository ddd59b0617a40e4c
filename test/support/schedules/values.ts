// What steps make of values, for the pipeline and for the oracle alike: nothing of time is here.

const PRIME = 1_000_003;

const mixed = (n: number, salt: number): number => {
  const h = Math.imul((n % PRIME) + salt * 97 + 1, 0x9e3779b1);
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
  1 + (((left?.n ?? 1) * 31 + (right?.n ?? 2) * 17) % PRIME);

/** The result of a record behind those whose numbers make this sum, and that of them all. */
export const behind = (sum: number, n: number): number => 1 + ((n + sum * 3) % PRIME);
export const allOf = (sum: number): number => 5 + (sum % PRIME);

/** One of so many kinds. */
export const kindOf = (n: number, kinds: number): number => mixed(n, kinds) % kinds;

/** Of what came before, and what came then: another number in another order. */
export const chain = (before: number, own: number): number => (before * 31 + own * 7) % PRIME;
