// The second program's own way to read what lies in the topics: Avro bytes to plain values, without the engine's codecs,
// and money as whole cents.
import avsc from "avsc";
import { orderSchema } from "../../support/apps/chaos.ts";

const WIRE_HEADER_BYTES = 5;

export interface NaiveOrder {
  readonly id: string;
  readonly customer: string;
  readonly shop: string;
  readonly cents: bigint;
  readonly note: string;
}
export interface NaiveTotal {
  readonly shop: string;
  readonly orders: number;
  readonly cents: bigint;
  readonly last: string;
}

const orderType = avsc.Type.forSchema(orderSchema() as avsc.Schema);
const totalType = avsc.Type.forSchema({
  type: "record",
  name: "Total",
  fields: [
    { name: "shop", type: "string" },
    { name: "orders", type: "int" },
    { name: "sum", type: "bytes" },
    { name: "last", type: "string" },
  ],
});

/** Whatever a newer schema has behind these fields is not looked at. */
export function readOrder(value: Buffer): NaiveOrder {
  const { amount, ...order } = orderType.decode(value, WIRE_HEADER_BYTES).value as Omit<
    NaiveOrder,
    "cents"
  > & { readonly amount: Buffer };
  return { ...order, cents: centsOf(amount) };
}

export function readTotal(value: Buffer): NaiveTotal {
  const { sum, ...total } = totalType.decode(value, WIRE_HEADER_BYTES).value as Omit<
    NaiveTotal,
    "cents"
  > & { readonly sum: Buffer };
  return { ...total, cents: centsOf(sum) };
}

/** Two's complement, most significant byte first. */
function centsOf(bytes: Buffer): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
}

/** As Postgres prints numeric(p, 2). */
export function moneyText(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, "0");
  return `${cents < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
