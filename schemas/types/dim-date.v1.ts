// Generated from ../dim-date.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A row of dim_dates: one per calendar day, UTC. */
export interface DimDate {
  /** yyyymmdd. */
  readonly dateId: number;
  readonly date: string;
  readonly year: number;
  readonly quarter: number;
  readonly month: number;
  readonly day: number;
  /** 1 is Monday, 7 is Sunday (ISO 8601). */
  readonly dayOfWeek: number;
  readonly isWeekend: boolean;
}
export const dimDate: Schema<DimDate> = avro({
  "type": "record",
  "name": "DimDate",
  "namespace": "shop",
  "doc": "A row of dim_dates: one per calendar day, UTC.",
  "fields": [
    {
      "name": "dateId",
      "type": "int",
      "doc": "yyyymmdd."
    },
    {
      "name": "date",
      "type": {
        "type": "int",
        "logicalType": "date"
      }
    },
    {
      "name": "year",
      "type": "int"
    },
    {
      "name": "quarter",
      "type": "int"
    },
    {
      "name": "month",
      "type": "int"
    },
    {
      "name": "day",
      "type": "int"
    },
    {
      "name": "dayOfWeek",
      "type": "int",
      "doc": "1 is Monday, 7 is Sunday (ISO 8601)."
    },
    {
      "name": "isWeekend",
      "type": "boolean"
    }
  ]
});
