// The order of a task's results across its keys: of those that lie in one partition of their topic it shows.
import type { RawRecord } from "../../../../src/engine/core/record.ts";
import type { Expected } from "../oracle/expected.ts";

/** The first result that comes before one in front of it; null where there is none. */
export function wrongSequence(
  { sequences }: Expected,
  recordsOf: (topic: string) => readonly RawRecord[],
): string | null {
  for (const [topic, tasks] of sequences) {
    const records = recordsOf(topic);
    for (const sequence of tasks.values())
      for (const own of Map.groupBy(records, ({ partition }) => partition).values()) {
        const wrong = wrongIn(sequence, own);
        if (wrong !== null) return `${topic}: ${wrong}`;
      }
  }
  return null;
}

/** Each is found behind the last one; those of other tasks are passed over. */
function wrongIn(sequence: readonly string[], records: readonly RawRecord[]): string | null {
  const known = new Set(sequence);
  let at = -1;
  for (const { key, value } of records) {
    const text = sequenceText(String(key), value === null ? null : String(value));
    if (!known.has(text)) continue;
    const next = sequence.indexOf(text, at + 1);
    if (next < 0) return `${text} comes behind ${String(sequence[at])}`;
    at = next;
  }
  return null;
}

export const sequenceText = (key: string, json: string | null): string => `${key} ${json ?? "-"}`;
