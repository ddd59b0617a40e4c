// Values that a step has made, in the buffers of a join: whoever begins with these reads them, whatever it has seen before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface Fed {
  readonly id: string;
}
const BEGIN = Date.UTC(2026, 0, 1);
const shape = { key: string, partitions: 1, owner: "tests" };
const orders = topic("orders", { ...shape, value: json<Fed>() });
const payments = topic("payments", { ...shape, value: json<Fed>() });
const rows = topic("rows", { ...shape, value: json<string>() });

const on =
  (to: typeof orders) =>
  (second: number, id: string): SimulatedStep =>
    send(to, "k", { id }, { at: BEGIN + second * 1_000 });
const order = on(orders);
const payment = on(payments);
const marked = ({ id }: Fed) => ({ id: `${id}!`, by: "a step" });
const pairOf = (left: Fed | null, right: Fed | null): string =>
  `${left?.id ?? "-"}&${right?.id ?? "-"}`;

for (const kind of ["join", "leftJoin", "outerJoin"] as const)
  test(`${kind} reads values that a step has made from its buffers, after a crash and a takeover`, async () => {
    const flow = pipeline("made", { state: "memory" }, ({ from }) => {
      const others = from(payments).map("marked-payment", marked);
      const span = { before: seconds(0), after: seconds(5), grace: seconds(1) };
      from(orders).map("marked", marked)[kind]("pairs", others, pairOf, span).to(rows);
    });
    const rowsOf = async (between: readonly SimulatedStep[]): Promise<(string | null)[]> => {
      const { records } = await simulate(flow, [
        ...[order(2, "a"), ...between, order(3, "b"), payment(4, "c"), ...between],
        ...[payment(7.5, "d"), ...between, order(99, "x"), payment(199, "y")],
      ]);
      return records(rows).map(({ value }) => value);
    };
    const expected = await rowsOf([]);
    assert.deepEqual(expected.slice(0, 3), ["a!&c!", "b!&c!", "b!&d!"]);
    for (const between of [crash, rebalance]) assert.deepEqual(await rowsOf([between]), expected);
  });
