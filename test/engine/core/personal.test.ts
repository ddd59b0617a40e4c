import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Pipeline } from "#engine";
import { sightOf } from "../../../src/engine/core/personal.ts";

interface Person {
  readonly name: string;
}
const value = json<Person>();
const own = { key: string, value, partitions: 1, owner: "tests" };
const people = topic("people", { ...own, personalData: ["name"] });
const shops = topic("shops", { ...own, personalData: ["name"], personalKey: false });
const plain = topic("plain", own);
const keyed = topic("keyed", { ...own, personalKey: true });
const flow = (name: string, from: typeof people, to: string): Pipeline =>
  pipeline(name, (p) => {
    p.from(from)
      .groupBy("by-name", (one) => one.name)
      .count("count")
      .to(topic(to, { key: string, value: json<number>(), partitions: 1, owner: "tests" }));
  });
const pipelines = [
  flow("shop", plain, "shop.out"),
  flow("shop-returns", people, "returns.out"),
  flow("keys", keyed, "keys.out"),
  flow("shops", shops, "shops.out"),
];
const plans = pipelines.map((one) => one.plan("test-"));
const kind = (name: string): string => sightOf(name, plans).sight.kind;
const owners = (name: string): readonly string[] =>
  sightOf(name, plans).plans.map((plan) => plan.pipeline);

test("fields of a declared topic, and its key unless it says that it names nobody", () => {
  assert.deepEqual(sightOf("people", plans).sight, {
    kind: "fields",
    paths: ["name"],
    isKeyHidden: true,
  });
  assert.deepEqual(sightOf("shops", plans).sight, {
    kind: "fields",
    paths: ["name"],
    isKeyHidden: false,
  });
  assert.deepEqual(sightOf("keyed", plans).sight, { kind: "fields", paths: [], isKeyHidden: true });
  assert.deepEqual(["plain", "shop.out", "returns.out"].map(kind), ["open", "open", "open"]);
});

test("all that a pipeline with personal data keeps for itself is hidden, that of its runs and of other releases too", () => {
  for (const name of [
    ...["by-name-repartition", "count-changelog", "dead-letters", "redrive", "parked"],
    ...["r3-count-changelog", "r3-dead-letters", "gone-step-changelog", "rows-sink"],
  ]) {
    assert.equal(kind(`test-shop-returns-${name}`), "hidden", name);
    assert.equal(kind(`test-keys-${name}`), "hidden", name);
    assert.equal(kind(`test-shop-${name}`), "open", name);
    assert.deepEqual(owners(`test-shop-returns-${name}`), ["shop-returns"]);
  }
  assert.equal(kind("people-r3-input"), "hidden");
  assert.equal(kind("returns.out-r3"), "hidden");
  assert.equal(kind("shop.out-r3"), "open");
});

test("a value of one piece is personal as a whole, and a path goes into lists", () => {
  const text = topic("text", { ...own, value: string, personalData: ["*"] });
  interface Basket {
    readonly lines: readonly { readonly giftFor: string | null }[];
  }
  const baskets = topic("baskets", {
    ...own,
    value: json<Basket>(),
    personalData: ["lines.giftFor"],
  });
  const both = pipeline("both", (p) => {
    p.from(text).to(topic("texts", { ...own, value: string }));
    p.from(baskets).to(topic("gifts", { ...own, value: json<Basket>() }));
  });
  const { sight } = sightOf("text", [both.plan()]);
  assert.deepEqual(sight, { kind: "fields", paths: ["*"], isKeyHidden: true });
  // @ts-expect-error there is no such field
  topic("none", { ...own, value: json<Basket>(), personalData: ["lines.nobody"] });
});

test("notes and states of letters have no record in them", () => {
  assert.equal(kind("test-shop-returns-meta"), "open");
  assert.equal(kind("test-shop-returns-letter-states"), "open");
});

test("a topic of nobody is open and has no owner; one of several pipelines has them all", () => {
  assert.deepEqual([kind("others"), owners("others")], ["open", []]);
  const both = [...plans, flow("more", people, "more.out").plan("test-")];
  assert.deepEqual(
    sightOf("people", both).plans.map((plan) => plan.pipeline),
    ["shop-returns", "more"],
  );
});
