// The records of app.ts's sources, the same ones at each recording. A phase is two hours after the one before, so that the
// ids which `distinct` remembers are over by then; within a phase all lies inside ten minutes.
import { partitionOf, type OutRecord } from "../../src/engine/core/record.ts";

const START_MS = Date.parse("2026-11-20T08:00:00Z");
const HOUR_MS = 3_600_000;

interface Source {
  readonly topic: string;
  readonly count: number;
  /** Key and value of the record with this number in this phase; a text is no JSON. */
  readonly of: (n: number, phase: number) => { key: string; value: object | string };
}

const amountOf = (n: number): number => {
  if (n % 40 === 9) return 5_000;
  return n % 20 === 7 ? 1_000 + n : 1 + (n % 90);
};
/** Each tenth repeats the one before; each thirtieth is of the phase before. */
const idOf = (prefix: string, n: number, phase: number): string => {
  if (n % 10 === 5) return idOf(prefix, n - 1, phase);
  if (n % 30 === 16 && phase > 0) return idOf(prefix, n, phase - 1);
  // Postgres takes no zero in a text.
  return `${prefix}-${String(phase)}-${String(n)}${n % 50 === 21 ? "\0" : ""}`;
};
const saleOf = (prefix: string) => (n: number, phase: number) => {
  // A repeat has the key of what it repeats.
  const of = n % 10 === 5 ? n - 1 : n;
  const sale = { id: idOf(prefix, n, phase), shop: `shop-${String(of % 7)}`, amount: amountOf(of) };
  const value = n % 60 === 33 ? "no sale" : sale;
  return { key: `till-${String(of % 6)}`, value };
};

const sources: readonly Source[] = [
  { topic: "up.sales", count: 160, of: saleOf("s") },
  { topic: "up.returns", count: 80, of: saleOf("r") },
  { topic: "up.tills", count: 120, of: saleOf("t") },
  {
    topic: "up.asks",
    count: 40,
    of: (n, phase) => ({
      key: `ask-${String(n % 8)}`,
      value: { id: `a-${String(phase)}-${String(n)}` },
    }),
  },
  {
    topic: "up.visits",
    count: 120,
    of: (n, phase) => {
      const page = n % 12 === 5 ? "bot" : `page-${String(n % 9)}`;
      return { key: page, value: { id: `${page}/${String(phase)}/${String(n)}` } };
    },
  },
];

/** The records of a phase, for these topics. */
export function inputs(phase: number, topics: readonly string[]): OutRecord[] {
  return sources
    .filter(({ topic }) => topics.includes(topic))
    .flatMap(({ topic, count, of }) =>
      Array.from({ length: count }, (_, n) => {
        const at = START_MS + phase * 2 * HOUR_MS + Math.floor((n * 600_000) / count);
        const { key: name, value } = of(n, phase);
        const text = typeof value === "string" ? value : JSON.stringify({ ...value, at });
        const key = Buffer.from(name);
        const place = { topic, partition: partitionOf(key, 2, 0), headers: [], timestamp: at };
        return { ...place, key, value: Buffer.from(text) };
      }),
    );
}
