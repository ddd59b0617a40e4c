// Generated from ../household-spend.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** What a household has spent, as a record and as a row of household_spend. */
export interface HouseholdSpend {
  readonly householdId: string;
  readonly spend: Decimal;
}
export const householdSpend: Schema<HouseholdSpend> = avro({
  "type": "record",
  "name": "HouseholdSpend",
  "namespace": "retail",
  "doc": "What a household has spent, as a record and as a row of household_spend.",
  "fields": [
    {
      "name": "householdId",
      "type": "string"
    },
    {
      "name": "spend",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 16,
        "scale": 2
      }
    }
  ]
});
