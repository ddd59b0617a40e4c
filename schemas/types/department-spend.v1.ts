// Generated from ../department-spend.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** What was spent in a department, as a record and as a row of department_spend. */
export interface DepartmentSpend {
  readonly department: string;
  readonly spend: Decimal;
}
export const departmentSpend: Schema<DepartmentSpend> = avro({
  "type": "record",
  "name": "DepartmentSpend",
  "namespace": "retail",
  "doc": "What was spent in a department, as a record and as a row of department_spend.",
  "fields": [
    {
      "name": "department",
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
