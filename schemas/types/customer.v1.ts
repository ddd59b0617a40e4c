// Generated from ../customer.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A customer as the shop knows them. */
export interface Customer {
  readonly customerId: string;
  readonly name: string;
  readonly email: string;
  /** Null for accounts older than the shop system. */
  readonly createdDate: number | null;
}
export const customer: Schema<Customer> = avro({
  "type": "record",
  "name": "Customer",
  "namespace": "shop",
  "doc": "A customer as the shop knows them.",
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
      "type": "string"
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
      "doc": "Null for accounts older than the shop system.",
      "default": null
    }
  ]
});
