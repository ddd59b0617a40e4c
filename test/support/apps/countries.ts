// Events with the name of their country: countries are loaded first. Each event is a row, and the events of a country are
// counted behind a new key, for a table that a topic leads to. TEST_TOPICS goes before the names; TEST_SLOW_MS is the time that
// a country takes.
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type PostgresTable,
  type Topic,
} from "#engine";

export interface Country {
  readonly code: string;
  readonly name: string;
}
export interface Event {
  readonly id: string;
  readonly code: string;
}
export interface Named {
  readonly id: string;
  readonly name: string;
}
interface Count {
  readonly name: string;
  readonly n: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "countries";
const slowMs = Number(process.env["TEST_SLOW_MS"] ?? 0);
export const PARTITIONS = 2;
/** The name of a country that was not known. */
export const UNKNOWN = "unknown";

const shape = { key: string, partitions: PARTITIONS, owner: "tests" };
export const countries: Topic<string, Country> = topic(`${prefix}.countries`, {
  ...{ ...shape, value: json<Country>() },
  compacted: true,
});
export const events: Topic<string, Event> = topic(`${prefix}.events`, {
  ...{ ...shape, value: json<Event>() },
});

const rowOf = (name: string, fields: readonly object[]) => ({
  ...{ type: "record", name, namespace: "countries", fields },
});
const eventRows = postgresTable<Named>("event_rows", {
  row: avro(
    rowOf("Named", [
      { name: "id", type: "string" },
      { name: "name", type: "string" },
    ]),
  ),
  key: ["id"],
});
const perCountry = postgresTable<Count>("per_country", {
  row: avro(
    rowOf("Count", [
      { name: "name", type: "string" },
      { name: "n", type: "long" },
    ]),
  ),
  key: ["name"],
});

function slowly<T>(value: T): T {
  for (const until = performance.now() + slowMs; performance.now() < until;);
  return value;
}

export const naming: Pipeline = pipeline(prefix, ({ from }) => {
  const known = from(countries, { loadFirst: true }).map("known", ({ code, name }) =>
    slowly({ id: null, code, name }),
  );
  const named = from(events)
    .map("asked", ({ id, code }) => ({ id, code, name: UNKNOWN }))
    .merge("both", known)
    .mapWithState("names", {
      state: json<{ name: string }>(),
      map: (state: { name: string } | null, { id, name }) =>
        id === null
          ? { state: { name }, emit: [] }
          : { state, emit: [{ id, name: state?.name ?? UNKNOWN }] },
    });
  named.upsertInto(eventRows);
  named
    .groupBy("by-name", ({ name }) => name)
    .count("per-name")
    .map("counted", (n, { key }) => ({ name: key, n }))
    .upsertInto(perCountry);
});

export const pipelines: readonly Pipeline[] = [naming];
export const tables: readonly PostgresTable<unknown>[] = [
  eventRows,
  perCountry,
] as readonly PostgresTable<unknown>[];
