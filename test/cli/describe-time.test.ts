// What `describe` shows of time: the class of each operator with its reason, and what holds time back.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hours,
  json,
  minutes,
  pipeline,
  records,
  seconds,
  session,
  string,
  topic,
  tumbling,
  countWindow,
} from "#engine";
import { planData, planLines, planMermaid } from "../../src/cli/plan-text.ts";

interface View {
  readonly at: number;
  readonly shop: string;
}
const own = { partitions: 3, owner: "tests" } as const;
const views = topic("views", {
  ...{ key: string, value: json<View>(), ...own, idleAfter: seconds(20) },
  timestamp: (view) => view.at,
});
const out = (name: string) => topic(name, { key: string, value: json<number>(), ...own });
const fives = tumbling({ size: minutes(5), grace: seconds(2) });
const latest = (a: View, b: View): View => (b.at > a.at ? b : a);

const flow = pipeline("shop-views", ({ from }) => {
  const direct = from(views).groupByKey();
  direct
    .windowedBy(fives)
    .count("by-user", { emit: "close" })
    .toStream("user-row", (n) => n)
    .to(out("users"));
  direct
    .windowedBy(session({ gap: minutes(30), grace: seconds(1) }))
    .reduce("last-of-session", latest, { emit: "close" })
    .toStream("session-row", ({ at }) => at)
    .to(out("sessions"));
  direct
    .windowedBy(countWindow({ size: records(10) }))
    .count("tens", { emit: "close" })
    .toStream("ten-row", (n) => n)
    .to(out("tens"));
  const byShop = from(views).groupBy("by-shop", ({ shop }) => shop);
  byShop
    .windowedBy(fives)
    .count("by-shop-count", { emit: "close" })
    .toStream("shop-row", (n) => n)
    .to(out("shops"));
  byShop
    .windowedBy(fives)
    .reduce("by-shop-last", latest, { emit: "close" })
    .toStream("last-row", ({ at }) => at)
    .to(out("lasts"));
  byShop
    .windowedBy(fives)
    .reduce("by-shop-first", latest, { emit: "close", windowsMax: 9, whenFull: "evict" })
    .toStream("first-row", ({ at }) => at)
    .to(out("firsts"));
  byShop
    .windowedBy(fives)
    .count("by-shop-update")
    .toStream("update-row", (n) => n)
    .to(out("updates"));
  from(views)
    .groupBy("by-shop-again", ({ shop }) => shop)
    .aggregate("ordered-totals", {
      ...{ value: json<number>(), init: () => 0, add: (n: number) => n + 1 },
      order: { grace: seconds(5) },
    })
    .to(out("ordered"));
  byShop
    .count("totals")
    .suppress("hourly", { for: hours(1), recordsMax: records(100), whenFull: "emit" })
    .toStream()
    .to(out("totals"));
  from(out("shops"))
    .groupByKey()
    .windowedBy(tumbling({ size: hours(1), grace: seconds(0) }))
    .sum("by-hour", (n) => n, { emit: "close" })
    .toStream("hour-row", (n) => n)
    .to(out("hours"));
}).plan();

interface Shown {
  readonly name: string;
  readonly class: string;
  readonly why?: string;
  readonly time?: {
    readonly delayMs: number;
    readonly heldBackBy: readonly object[];
  };
}
const operators = (planData(flow)["parts"] as readonly { operators: readonly Shown[] }[]).flatMap(
  (part) => part.operators,
);
const shown = (name: string): Shown =>
  operators.find((operator) => operator.name === name) ?? assert.fail(name);

for (const [name, of, why] of [
  ["by-user", "exact", undefined],
  ["user-row", "exact", undefined],
  ["last-of-session", "exact", undefined],
  ["tens", "exact", undefined],
  ["by-shop-count", "exact", undefined],
  ["by-shop-last", "exact", undefined],
  ["last-row", "exact", undefined],
  ["by-shop-first", "arrival", /order of records, and several tasks write .*by-shop/],
  ["first-row", "arrival", /order of records/],
  ["by-shop-update", "final", /the last of a window counts/],
  ["totals", "final", /the last of a key counts/],
  ["ordered-totals", "final", /the last of a key counts/],
  ["hourly", "final", /last/],
  ["by-hour", "arrival", /several tasks write shops/],
] as const)
  test(`${name} is ${of}`, () => {
    const operator = shown(name);
    assert.equal(operator.class, of);
    if (why === undefined) assert.equal(operator.why, undefined);
    else assert.match(operator.why ?? "", why);
  });

test("an operator that asks for time names its delay and the sources that hold it back", () => {
  assert.deepEqual(shown("by-user").time, {
    delayMs: 2_000,
    heldBackBy: [{ topic: "views", delayMs: 0, writers: null, idleAfterMs: 20_000 }],
  });
  const between = { topic: "shop-views-by-shop-repartition", delayMs: 0, idleAfterMs: null };
  assert.deepEqual(shown("by-shop-count").time?.heldBackBy, [{ ...between, writers: 3 }]);
  assert.equal(shown("user-row").time, undefined);
  const line = planLines(flow).find((one) => one.startsWith("  by-shop-count ")) ?? "";
  assert.match(
    line,
    /exact; time behind it is delayed by 2000 ms; its time is held back by shop-views-by-shop-repartition \(3 tasks write it\)$/,
  );
  assert.match(planLines(flow).join("\n"), /by-shop-first .*arrival: it depends on the order/);
});

test("the drawing names the windows of an operator", () => {
  const drawing = planMermaid(flow).join("\n");
  assert.match(drawing, /\["by-user<br\/>tumbling 300000 ms"\]/);
  assert.match(drawing, /\["last-of-session<br\/>session 1800000 ms"\]/);
});
