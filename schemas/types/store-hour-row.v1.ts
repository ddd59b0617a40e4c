// Generated from ../store-hour-row.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** A row of store_hours: one per store and hour in which it sold something. */
export interface StoreHourRow {
  readonly storeId: string;
  /** When it begins. */
  readonly hour: number;
  readonly lines: number;
  readonly sales: Decimal;
}
export const storeHourRow: Schema<StoreHourRow> = avro({
  "type": "record",
  "name": "StoreHourRow",
  "namespace": "retail",
  "doc": "A row of store_hours: one per store and hour in which it sold something.",
  "fields": [
    {
      "name": "storeId",
      "type": "string"
    },
    {
      "name": "hour",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "When it begins."
    },
    {
      "name": "lines",
      "type": "int"
    },
    {
      "name": "sales",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 16,
        "scale": 2
      }
    }
  ]
});
