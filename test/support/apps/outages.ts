// One flow over every server: readings are checked into a clean topic, and from there into a table of one row each.
import { avro, pipeline, postgresTable, string, topic, type Topic } from "#engine";

export interface Reading {
  readonly n: number;
  readonly sensor: string;
  readonly level: number;
}

const readingFields = [
  { name: "n", type: "int" },
  { name: "sensor", type: "string" },
  { name: "level", type: "int" },
];
const schemaOf = (name: string, fields: readonly object[]) => ({
  type: "record",
  name,
  namespace: "outages",
  fields,
});
/** A later version, as another team's producer would bring it: its id is new to every worker. */
export const readingV2 = schemaOf("Reading", [
  ...readingFields,
  { name: "unit", type: "string", default: "mm" },
]);

const reading = avro<Reading>(schemaOf("Reading", readingFields));
const shape = { key: string, value: reading, partitions: 4, owner: "tests" };
export const PARTITIONS: number = shape.partitions;

/** What the sensors send, negative levels among it. */
export const readings: Topic<string, Reading> = topic("readings", shape);
/** Readings with a possible level. */
export const cleanReadings: Topic<string, Reading> = topic("readings.clean", shape);

const readingRows = postgresTable("reading_rows", { row: reading, key: ["n"] });

export const outages = pipeline("outages", { haltWhen: "never" }, ({ from }) => {
  from(readings)
    .expect("level-possible", (r) => r.level >= 0, { otherwise: "dead-letter" })
    .to(cleanReadings);
  from(cleanReadings).upsertInto(readingRows);
});

export const pipelines = [outages];
export const tables = [readingRows];
