// Values of a JSON topic that nobody validates, on their way into a table: what does not fit its column is a letter, and the
// worker goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, string, topic, type Decimal } from "#engine";
import { Fleet } from "../support/fleet.ts";

interface Sale {
  readonly id: string;
  readonly price: Decimal;
}
const sales = topic("sales", { key: string, value: json<Sale>(), partitions: 1, owner: "t" });
const price = { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 };
const rows = postgresTable<Sale>("rows", {
  row: avro<Sale>({
    ...{ type: "record", name: "Sale" },
    fields: [
      { name: "id", type: "string" },
      { name: "price", type: price },
    ],
  }),
  ...{ key: ["id"], version: "price" },
});
const sink = pipeline("sink", { haltWhen: "never" }, ({ from }) => {
  from(sales)
    .map("priced", (sale) => ({ ...sale, price: sale.price ?? null }))
    .upsertInto(rows);
});

test("fields that are named like methods of a Decimal end no worker", async () => {
  const fleet = new Fleet([sink]);
  const { worker } = await fleet.join();
  const odd = [{ toFixed: 1 }, { cmp: 1, toFixed: {} }, "1.50", 1.5, [], null, { d: 1 }];
  await fleet.send(
    sales.name,
    odd.map((value) => ({ id: "a", price: value })),
  );
  await fleet.drained();
  assert.deepEqual(
    worker.health().map(({ state }) => state),
    ["running"],
  );
  const codes = fleet.letters().map(({ code }) => code);
  assert.equal(codes.length, odd.length);
  assert.ok(
    codes.slice(0, 5).every((code) => code === "22023"),
    String(codes),
  );
});
