// The baskets and store hours that grocery lines must become, by a second, naive program over the lines of a file, and
// the same lines in another order.
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { partitionOf } from "../../src/engine/core/record.ts";

/** The largest distance of two lines of one basket. */
const GAP_S = 30 * 60;
const HOUR_S = 3_600;
/** Lines may come so much later than newer ones. */
export const GRACE_S = 10 * 60;
const DAY_S = 86_400;

export interface RetailWindows {
  /** "household|start|end|lines|spend", in seconds, sorted. */
  readonly baskets: readonly string[];
  /** "store|hour|lines|sales", sorted. */
  readonly hours: readonly string[];
}

/** Cells by their place: household, store, basket, product, quantity, sales, three discounts, week, time. */
interface Cells {
  readonly household: string;
  readonly store: string;
  readonly quantity: number;
  readonly cents: bigint;
  readonly second: number;
}

export function cellsOf(line: string): Cells {
  const cells = line.split(",");
  return {
    household: cells[0] ?? "",
    store: cells[1] ?? "",
    quantity: Number(cells[4]),
    cents: BigInt((cells[5] ?? "").replace(".", "")),
    second: Date.parse(`${(cells[10] ?? "").replace(" ", "T")}Z`) / 1_000,
  };
}

/** Lines as texts of a file, money with two decimals; in whatever order. */
export function windowsOf(csv: readonly string[]): RetailWindows {
  const lines = csv.map(cellsOf).filter(({ quantity }) => quantity > 0);
  const households = Map.groupBy(lines, ({ household }) => household);
  const hours = Map.groupBy(
    lines,
    ({ store, second }) => `${store}|${String(Math.floor(second / HOUR_S) * HOUR_S)}`,
  );
  return {
    baskets: [...households].flatMap(([household, own]) => basketsOf(household, own)).sort(),
    hours: [...hours].map(([hour, own]) => `${hour}|${String(own.length)}|${spent(own)}`).sort(),
  };
}

/** Sorted by time, a basket ends where the next line lies more than the gap behind. */
function basketsOf(household: string, lines: readonly Cells[]): string[] {
  const sorted = [...lines].sort((a, b) => a.second - b.second);
  const starts = sorted.flatMap(({ second }, i) =>
    i === 0 || second - (sorted[i - 1]?.second ?? 0) > GAP_S ? [i] : [],
  );
  return starts.map((from, i) => {
    const basket = sorted.slice(from, starts[i + 1]);
    const [first, last] = [basket[0]?.second, basket.at(-1)?.second];
    return [household, first, last, basket.length, spent(basket)].join("|");
  });
}

function spent(lines: readonly Cells[]): string {
  const digits = String(lines.reduce((sum, { cents }) => sum + cents, 0n)).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** The lines in another order: each comes less than the grace behind those that are newer. */
export function shuffledWithinGrace(csv: readonly string[], seed: number): string[] {
  const random = seededRandom(seed);
  return csv
    .map((line) => ({ line, at: cellsOf(line).second + Math.floor(random.next() * GRACE_S) }))
    .sort((a, b) => a.at - b.at)
    .map(({ line }) => line);
}

const HOUSEHOLDS_DIVISOR = 3;
const SHIFT_S = 3 * DAY_S;

/**
 * Lines that are in no file: the households of one remainder by three come at another time than those of the next, each by its own
 * shift, in the order of time. So other households share an hour of a store, and other lines a batch.
 */
export function shiftedHouseholds(csv: readonly string[], seed: number): string[] {
  const random = seededRandom(seed);
  const shifts = Array.from({ length: HOUSEHOLDS_DIVISOR }, () =>
    Math.floor(random.next() * SHIFT_S),
  );
  const shifted = csv.map((line) => {
    const { household, second } = cellsOf(line);
    const at = second + (shifts[Number(household) % HOUSEHOLDS_DIVISOR] ?? 0);
    return { at, line: `${line.slice(0, line.lastIndexOf(","))},${timeText(at)}` };
  });
  return shifted.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

const timeText = (second: number): string =>
  new Date(second * 1_000).toISOString().slice(0, 19).replace("T", " ");

/** The household of closing lines begins so, and is their store. */
const CLOSING = "closing";

/** A line a partition, a day behind the last one: it closes all windows in front of it. */
export function closingLines(csv: readonly string[], partitions: number): string[] {
  const last = csv.reduce((latest, line) => Math.max(latest, cellsOf(line).second), 0);
  const time = timeText(last + DAY_S);
  const names: string[] = [];
  for (let i = 0; names.filter(Boolean).length < partitions; i++) {
    const name = `${CLOSING}-${String(i)}`;
    names[partitionOf(Buffer.from(name), partitions, 0)] ??= name;
  }
  return names.map((name, i) => {
    const cells = [name, CLOSING, String(99_000_000_000 + i), "1", "1"];
    return [...cells, "0.01", "0.00", "0.00", "0.00", "6", time].join(",");
  });
}

/** Without the windows of closing lines: they may be open. */
export const unclosed = (rows: readonly string[]): string[] =>
  rows.filter((row) => !row.startsWith(CLOSING)).sort();
