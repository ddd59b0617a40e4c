// The types of simulated steps: each `@ts-expect-error` fails `npm run check:types` when its line compiles.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, long, nullable, pipeline, string, topic } from "#engine";
import { send, sendBytes, simulate } from "#testing";

interface User {
  readonly tier: "free" | "paid";
  readonly since?: number;
}
const shape = { partitions: 1, owner: "tests" };
const users = topic("users", { ...shape, key: string, value: json<User>() });
const counts = topic("counts", { ...shape, key: nullable(long), value: long });
const copied = pipeline("copied", ({ from }) => {
  from(users).to(topic("copies", { ...shape, key: string, value: json<User>() }));
});

test("a record is of the topic's types, and no literal of it is widened", async () => {
  const steps = [
    send(users, "u-1", { tier: "free" }),
    send(users, "u-2", { tier: "paid", since: 3 }),
    send(users, "u-3", null),
    send(counts, null, 4),
    // @ts-expect-error there is no such tier
    send(users, "u-4", { tier: "gold" }),
    // @ts-expect-error a key is a text
    send(users, 5, { tier: "free" }),
    // @ts-expect-error a value is a number
    send(counts, 6, "six"),
    // @ts-expect-error a user has a tier
    send(users, "u-7", {}),
  ];
  assert.equal(steps.length, 8);
  const { records } = await simulate(copied, steps.slice(0, 2));
  assert.deepEqual(
    records(users).map(({ value }) => value?.tier),
    ["free", "paid"],
  );
});

test("bytes go to any topic", async () => {
  const bytes = Buffer.from('{"tier":"paid"}');
  const steps = [sendBytes(users, Buffer.from("u-1"), bytes), sendBytes(counts, null, null)];
  const { records } = await simulate(copied, steps.slice(0, 1));
  assert.deepEqual(
    records(users).map(({ value }) => value),
    [{ tier: "paid" }],
  );
});
