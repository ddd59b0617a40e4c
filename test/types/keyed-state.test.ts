// What must not compile of keyed state: each `@ts-expect-error` fails `npm run check:types` when its line compiles.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decimal,
  json,
  long,
  pipeline,
  seconds,
  string,
  topic,
  type Decimal,
  type Stream,
} from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface Sale {
  readonly shop: string;
  readonly till: number;
  readonly amount: Decimal;
}
interface Total {
  readonly amount: Decimal;
}
const sales = topic("sales", { key: string, value: json<Sale>(), partitions: 2, owner: "tests" });
const total = json<Total>();
const none: Total = { amount: decimal("0") };

/** What stands in a builder that nobody calls. */
const compiled = (build: (stream: Stream<string, Sale>) => void): void => {
  assert.equal(typeof build, "function");
};

test("an aggregate begins as, and stays, what its schema says", () => {
  compiled((stream) => {
    const shops = stream.groupByKey();
    const add = (sum: Total, { amount }: Sale): Total => ({ amount: sum.amount.plus(amount) });
    shops.aggregate("right", { value: total, init: () => none, add });
    // @ts-expect-error a number is no Total
    shops.aggregate("begins", { value: total, init: () => 0, add });
    // @ts-expect-error a text is no Total
    shops.aggregate("goes-on", { value: total, init: () => none, add: () => "12.30" });
    // @ts-expect-error a Total has an amount
    shops.aggregate("lacks", { value: total, init: () => ({}), add });
  });
});

test("a key that is no text needs a schema, of its own type", () => {
  compiled((stream) => {
    stream.groupBy("by-shop", ({ shop }) => shop).count("of-shop");
    stream.groupBy("by-till", ({ till }) => till, { key: long }).count("of-till");
    // @ts-expect-error a number has no bytes without a schema
    stream.groupBy("by-bare-till", ({ till }) => till).count("of-bare-till");
    // @ts-expect-error so it is when it only moves
    stream.rekey("to-bare-till", ({ till }) => till);
    // @ts-expect-error the schema is of texts
    stream.groupBy("by-text-till", ({ till }) => till, { key: string }).count("of-text-till");
  });
});

test("only what adds up is summed up, and only what compares has an extreme", () => {
  compiled((stream) => {
    const shops = stream.groupByKey();
    shops.sum("money", ({ amount }) => amount);
    shops.sum("numbers", ({ till }) => till);
    shops.min("first-name", ({ shop }) => shop);
    // @ts-expect-error texts do not add up
    shops.sum("names", ({ shop }) => shop);
    // @ts-expect-error what may be missing does not either
    shops.sum("gaps", ({ till }) => (till > 0 ? till : null));
    // @ts-expect-error texts have no mean
    shops.avg("mean-name", ({ shop }) => shop);
    // @ts-expect-error objects do not compare
    shops.max("greatest", (sale) => sale);
    // @ts-expect-error an object is nothing to tell repeats by
    stream.distinct("repeats", { by: (sale) => sale, within: { ms: 1 } });
  });
});

test("a table goes to topics of its keys and values", () => {
  const counts = topic("counts", {
    key: string,
    value: json<number>(),
    partitions: 2,
    owner: "tests",
  });
  compiled((stream) => {
    stream.groupByKey().count("right").to(counts);
    const money = stream.groupByKey().sum("money", ({ amount }) => amount);
    // @ts-expect-error sums of money are no numbers
    money.to(counts);
    const tills = stream.groupBy("by-till", ({ till }) => till, { key: long });
    // @ts-expect-error its keys are numbers
    tills.count("of-till").to(counts);
  });
});

test("state of a step is what its schema says", () => {
  compiled((stream) => {
    stream.mapWithState("right", { state: total, map: (state) => ({ state, emit: [] }) });
    // @ts-expect-error a number is no Total
    stream.mapWithState("wrong", { state: total, map: () => ({ state: 1, emit: [] }) });
    // @ts-expect-error what it tells is a list
    stream.mapWithState("one", { state: total, map: () => ({ state: null, emit: 1 }) });
  });
});

test("what the types refuse for keys is refused at the start too, where somebody casts", () => {
  const flow = pipeline("cast", ({ from }) => {
    from(sales)
      .groupBy("by-till", ({ till }) => till, { key: long })
      .count("of-till")
      .to(
        topic("out", {
          key: string as never,
          value: json<number>(),
          partitions: 2,
          owner: "tests",
        }) as never,
      );
  });
  assert.throws(
    () => flow.plan(),
    (error) =>
      error instanceof ConfigErrors && error.problems[0]?.code === "MILL_BUILD_KEY_ENCODING",
  );
});

test("a step's answer to a tombstone is of its state and of what it tells", () => {
  compiled((stream) => {
    const map = (n: number | null, { shop }: Sale) => ({ state: (n ?? 0) + 1, emit: [shop] });
    const state = json<number>();
    stream.mapWithState("right", {
      state,
      map,
      onTombstone: (n, { key }) => ({ state: null, emit: n === null ? [] : [key] }),
    });
    // @ts-expect-error a text is no state of this step
    stream.mapWithState("wrong", { state, map, onTombstone: () => ({ state: "", emit: [] }) });
    // @ts-expect-error without what it tells
    stream.mapWithState("lacks", { state, map, onTombstone: () => ({ state: null }) });
  });
});

test("what is done about conflicts is one of two words", () => {
  compiled((stream) => {
    const by = ({ till }: Sale): number => till;
    const within = seconds(1);
    const content = ({ amount }: Sale): Decimal => amount;
    stream.distinct("right", { by, within, onRepeat: { conflict: "log", content } });
    // @ts-expect-error a word that nobody knows
    stream.distinct("wrong", { by, within, onRepeat: { conflict: "drop" } });
    const whole = (sale: Sale): Sale => sale;
    // @ts-expect-error what is compared is made of parts
    stream.distinct("whole", { by, within, onRepeat: { conflict: "log", content: whole } });
  });
});
