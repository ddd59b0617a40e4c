// The values that generated pipelines work on, and the users' functions in them. Engine and oracle share these: they are
// the input of a pipeline, like its records, and not what is tested.

export interface Value {
  /** Names the source record, and the copy of it; empty once a value stands for many. */
  readonly i: string;
  readonly n: number;
  /** Another key, shared by records of all partitions. */
  readonly g: string;
  /** Unique among source records. */
  readonly v: number;
  /** Its event time, where values tell it; or what is none. */
  readonly t?: unknown;
}

export const mod = (value: number, by: number): number => ((value % by) + by) % by;
const bounded = (value: number): number => mod(Math.floor(value), 1_000);

/** Thrown by callbacks: its record can never pass. */
export class Refused extends Error {}
/** Made once, since a stack is dear. */
export const refused = new Refused();

export const map = (value: Value, by: number): Value => ({ ...value, n: bounded(value.n + by) });
export const passes = ({ n }: Value, by: number): boolean => mod(Math.floor(n), 2 + by) !== 0;
export const copies = (value: Value, by: number): Value[] =>
  Array.from({ length: mod(Math.floor(value.n), 3) }, (_, c) => ({
    ...value,
    i: `${value.i}.${String(c)}`,
    n: bounded(value.n * by + c),
  }));
export const holds = ({ n }: Value, by: number): boolean => mod(Math.floor(n), 7) !== mod(by, 7);
export function strict(value: Value, by: number): Value {
  if (mod(Math.floor(value.n), 9) === mod(by, 9)) throw refused;
  return value;
}
export const isEven = ({ n }: Value): boolean => mod(Math.floor(n), 2) === 0;
export const doubled = (value: Value): Value => ({ ...value, n: bounded(value.n * 2) });
export const kindOf = ({ n }: Value, by: number): number => mod(Math.floor(n), 2 + by);
export const ownKey = (key: string | null, by: number): string | null =>
  key === null ? null : `x${String(by)}${key}`;
export const sharedKey = ({ g, n }: Value, by: number): string | null =>
  by === 3 && mod(Math.floor(n), 6) === 5 ? null : g;

/** Deletes at times, and refuses at times. */
export function add(sum: number, { n }: Value, by: number): number | null {
  const next = sum + Math.floor(n);
  if (mod(next, 13) === by) throw refused;
  return mod(next, 5) === 0 ? null : bounded(next);
}
export const step = (
  state: number | null,
  value: Value,
  by: number,
): { state: number | null; emit: Value[] } => ({
  state: mod(Math.floor(value.n), 4) === 0 ? null : bounded((state ?? 0) + by + 1),
  emit: Array.from({ length: 1 + mod(Math.floor(value.n), 2) }, (_, c) => ({
    ...value,
    i: `${value.i}:${String(c)}`,
    n: bounded(value.n + (state ?? 0) + c),
  })),
});
/** Steps with state that take tombstones; the others drop them. */
export const takesTombstones = (by: number): boolean => by >= 2;
/** A deleted key ends its state, and tells of it under a shared key of its own. */
export const ended = (state: number | null, key: string): { state: null; emit: Value[] } => ({
  state: null,
  emit: state === null ? [] : [{ i: `${key}!`, n: state, g: `gone-${key}`, v: 0 }],
});
/** A `distinct` that tells conflicts apart, by this. */
export const tellsConflicts = (by: number): boolean => by >= 3;
export const contentOf = ({ n }: Value): number => mod(Math.floor(n), 20);
export const reduced = (a: Value, b: Value): Value => ({ ...b, n: bounded(a.n + b.n) });
export const numberOf = ({ n }: Value): number => Math.floor(n);
/** The number of an aggregate as a value like any other. */
export const wrapped = (n: number): Value => ({ i: "", n, g: "", v: 0 });

/** The number of a window as a value. */
export const windowed = (n: number, startMs: number): Value => ({
  ...{ i: "", n, g: `w${String(startMs)}`, v: 0 },
});

export interface Row {
  readonly id: string;
  readonly n: number;
  readonly v: number;
  readonly i: string;
}
/** One row a record key, or one a shared key. */
export const rowOf = (
  value: Value,
  { key, partition }: { readonly key: string | null; readonly partition: number },
  isShared: boolean,
): Row => ({
  id: isShared ? value.g : (key ?? `none-${String(partition)}`),
  n: value.n,
  v: value.v,
  i: value.i,
});
/** What a CHECK of the table refuses: never what stands for many, since its steps depend on the order of tasks. */
export const isRefused = ({ n, i }: Pick<Row, "n" | "i">): boolean =>
  i !== "" && mod(Math.floor(n), 11) === 3;
