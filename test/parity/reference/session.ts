// Sessions: sets of on-time records that are at most the gap apart; both ends are inclusive.
import { type Reference, windowRow } from "./rows.ts";

interface Session {
  readonly start: number;
  readonly end: number;
  readonly values: readonly string[];
  readonly isOut: boolean;
}

export const sessionRows: Reference = ({ operator, grace, ourGrace, records }, exchanged) => {
  const { gap } = operator as { readonly gap: number };
  const theirLate = exchanged.has("session late");
  const theirClose = exchanged.has("session close");
  const wait = gap + (theirClose ? grace : ourGrace);
  const keys = new Map<string, Session[]>();
  const rows: string[] = [];
  let time = -Infinity;
  let late = 0;
  const close = (): void => {
    for (const [key, sessions] of keys) {
      const due = sessions.filter(({ end, isOut }) => !isOut && end + wait < time);
      for (const one of due) rows.push(windowRow({ key, ...one, t: one.end }));
      // Kafka Streams keeps them, for as long as its store's retention, and later records may join them.
      const out = due.map((one) => ({ ...one, isOut: true }));
      const others = sessions.filter((one) => !due.includes(one));
      keys.set(key, theirClose ? [...others, ...out] : others);
    }
  };
  for (const { key, t, value } of records) {
    time = Math.max(time, t);
    if (!theirClose) close();
    const sessions = keys.get(key) ?? [];
    const near = sessions.filter(({ start, end }) => start <= t + gap && end >= t - gap);
    const end = Math.max(t, ...near.map((one) => one.end));
    if (theirLate ? end < time - grace - gap : t < time - ourGrace) late++;
    else {
      const start = Math.min(t, ...near.map((one) => one.start));
      const values = [...near.flatMap((one) => one.values), value];
      const others = sessions.filter((one) => !near.includes(one));
      keys.set(key, [...others, { start, end, values, isOut: false }]);
    }
    if (theirClose) close();
  }
  return { rows, late };
};
