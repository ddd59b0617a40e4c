// Windows as the oracle has them: sets of records, without any order or time of arrival.
import type { FlowSpec, Node, SourceRecord } from "../case.ts";
import { outputName } from "../flow.ts";
import { mod, numberOf, windowed } from "../values.ts";
import { isOfSessions, lastWatermarks, SESSION, windowOf, windowsIn } from "../windows.ts";
import type { Expected } from "./expected.ts";
import type { Item, Trail } from "./way.ts";

interface OpenWindow {
  readonly key: string;
  readonly partition: number;
  readonly start: number;
  sum: number;
}

/** A record that its sessions take. */
interface Visit {
  readonly key: string;
  readonly partition: number;
  readonly timeMs: number;
  readonly n: number;
}

export class Windows {
  readonly #open = new Map<string, OpenWindow>();
  readonly #visits: Visit[] = [];

  /** Whether one of its windows is closed for the record. */
  take(by: number, { key, value, timeMs, originMs, partition }: Item, trail: Trail): boolean {
    if (value === undefined) return false;
    if (key === null) {
      trail.isNullKey = true;
      return false;
    }
    if (isOfSessions(by)) {
      const isLate = timeMs < originMs - SESSION.graceMs;
      trail.isLate ||= isLate;
      if (isLate) return true;
      trail.emitted++;
      trail.writes.push(() => {
        this.#visits.push({ key, partition, timeMs, n: numberOf(value) });
      });
      return false;
    }
    const { taken, isLate } = windowsOf(by, timeMs, originMs);
    for (const start of taken) {
      const name = `${key} ${String(start)}`;
      const open = this.#open.get(name) ?? { key, partition, start, sum: 0 };
      trail.emitted++;
      trail.writes.push(() => {
        this.#open.set(name, open);
        open.sum += numberOf(value);
      });
    }
    trail.isLate ||= isLate;
    return isLate;
  }

  /** By the watermarks when everything was read; behind a shared key that is the slowest partition's. */
  close(flow: FlowSpec, records: readonly SourceRecord[], topics: Expected["topics"]): void {
    const windows = windowsIn(flow);
    if (windows === null) return;
    const { node, isGrouped } = windows;
    const last = lastWatermarks({ flow, stages: [{ records, waitMs: 0 }] }, isGrouped);
    const items = topics.get(outputName(node.then[0] as Node))?.items;
    const closed = isOfSessions(node.by) ? this.#ended(last) : this.#closed(node.by, last);
    for (const { key, start, sum } of closed) {
      const row = { value: windowed(sum, start), origin: "windows" };
      items?.set(key, [...(items.get(key) ?? []), row]);
    }
  }

  /** Sessions are the records of a key that hang together, whenever they came. */
  #ended(watermarks: readonly number[]): OpenWindow[] {
    const { gapMs, graceMs } = SESSION;
    const sessions: (OpenWindow & { end: number })[] = [];
    const last = new Map<string, OpenWindow & { end: number }>();
    for (const { key, partition, timeMs, n } of this.#visits.toSorted(byTime)) {
      const before = last.get(key);
      if (before !== undefined && timeMs - before.end <= gapMs) {
        before.end = timeMs;
        before.sum += n;
        continue;
      }
      const session = { key, partition, start: timeMs, end: timeMs, sum: n };
      sessions.push(session);
      last.set(key, session);
    }
    return sessions.filter(
      ({ end, partition }) => end + gapMs + graceMs < (watermarks[partition] ?? -Infinity),
    );
  }

  /** Of a key the first one first. */
  #closed(by: number, watermarks: readonly number[]): OpenWindow[] {
    const { sizeMs, graceMs } = windowOf(by);
    const isClosed = ({ start, partition }: OpenWindow): boolean =>
      start + sizeMs + graceMs <= (watermarks[partition] ?? -Infinity);
    return [...this.#open.values()].filter(isClosed).sort((a, b) => a.start - b.start);
  }
}

const byTime = (a: Visit, b: Visit): number => a.timeMs - b.timeMs;

/** The windows that take a record, by their starts, and whether one of them is closed for it. */
function windowsOf(
  by: number,
  timeMs: number,
  originMs: number,
): { readonly taken: readonly number[]; readonly isLate: boolean } {
  const { sizeMs, advanceMs, graceMs } = windowOf(by);
  const taken: number[] = [];
  let isLate = false;
  for (let start = timeMs - mod(timeMs, advanceMs); start > timeMs - sizeMs; start -= advanceMs)
    if (originMs >= start + sizeMs + graceMs) isLate = true;
    else taken.push(start);
  return { taken, isLate };
}
