// Tumbling and hopping windows: [start, start + size), aligned to the epoch; none begins below 0.
import type { Operator } from "../cases.ts";
import { type Reference, windowRow } from "./rows.ts";

type Hopping = Extract<Operator, { kind: "hopping" }>;

const startsOf = (t: number, { size, advance }: Hopping): number[] => {
  const first = Math.floor(Math.max(0, t - size + advance) / advance) * advance;
  return Array.from(
    { length: Math.floor((t - first) / advance) + 1 },
    (_, i) => first + i * advance,
  );
};

export const windowRows: Reference = ({ operator, ourGrace: grace, records }, exchanged) => {
  const hopping =
    operator.kind === "tumbling"
      ? ({ kind: "hopping", size: operator.size, advance: operator.size } as const)
      : (operator as Hopping);
  const { size } = hopping;
  const open = new Map<string, { key: string; start: number; values: string[]; largest: number }>();
  const rows: string[] = [];
  let time = -Infinity;
  let late = 0;
  for (const { key, t, value } of records) {
    time = Math.max(time, t);
    for (const [id, { key: of, start, values, largest }] of open) {
      const end = start + size;
      if (time < end + grace) continue;
      open.delete(id);
      const at = exchanged.has("row time") ? largest : end - 1;
      rows.push(windowRow({ key: of, start, end, t: at, values }));
    }
    let isLate = false;
    for (const start of startsOf(t, hopping)) {
      if (time >= start + size + grace) {
        isLate = true;
        continue;
      }
      const id = `${key} ${String(start)}`;
      const window = open.get(id) ?? { key, start, values: [], largest: t };
      window.values.push(value);
      window.largest = Math.max(window.largest, t);
      open.set(id, window);
    }
    late += isLate ? 1 : 0;
  }
  return { rows, late };
};
