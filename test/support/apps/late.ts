// Counts of events that come out of order, into a table that event time decides; the events themselves into another.
// TEST_TOPICS goes before the names, so that two runs never meet on one stack.
import {
  avro,
  days,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Event {
  readonly id: string;
  readonly seq: number;
  readonly kind: "open" | "end";
}
interface Row {
  readonly key: string;
  readonly n: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "late";
const row = avro<Row>({
  type: "record",
  name: "Row",
  namespace: "late",
  fields: [
    { name: "key", type: "string" },
    { name: "n", type: "int" },
  ],
});

export const events: Topic<string, Event> = topic(`${prefix}.events`, {
  key: string,
  value: json<Event>(),
  partitions: 2,
  owner: "tests",
});
/** How many of each key; below 0 once it was deleted. */
const counts = postgresTable("counts", { row, key: ["key"] });
/** The newest event of each key. */
const newest = postgresTable("newest", { row, key: ["key"] });

export const late: Pipeline = pipeline(prefix, ({ from }) => {
  from(events)
    .distinct("once", {
      by: (event) => event.seq,
      within: days(1),
      onRepeat: { conflict: "dead-letter" },
    })
    .mapWithState("n", {
      state: json<number>(),
      map: (n: number | null, { kind }, { key }) => {
        const next = (n ?? 0) + 1;
        return { state: kind === "end" ? null : next, emit: [{ key, n: next }] };
      },
      onTombstone: (n, { key }) => ({ state: null, emit: n === null ? [] : [{ key, n: -n }] }),
    })
    .upsertInto(counts);
  from(events)
    .map("newest-row", ({ seq }, { key }) => ({ key, n: seq }))
    .upsertInto(newest);
});

export const pipelines = [late];
export const tables = [counts, newest];
