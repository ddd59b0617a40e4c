// Generated from ../dim-customer.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A row of dim_customers: one per customer, and one for the unknown. */
export interface DimCustomer {
  readonly customerId: string;
  readonly name: string;
  readonly email: string | null;
  readonly createdDate: number | null;
}
export const dimCustomer: Schema<DimCustomer> = avro({
  "type": "record",
  "name": "DimCustomer",
  "namespace": "shop",
  "doc": "A row of dim_customers: one per customer, and one for the unknown.",
  "fields": [
    {
      "name": "customerId",
      "type": "string"
    },
    {
      "name": "name",
      "type": "string"
    },
    {
      "name": "email",
      "type": [
        "null",
        "string"
      ],
      "default": null
    },
    {
      "name": "createdDate",
      "type": [
        "null",
        {
          "type": "long",
          "logicalType": "timestamp-millis"
        }
      ],
      "default": null
    }
  ]
});
