// Letters and states as release 0.1.0 wrote them, which knew no generations: the same letters are open. The records are
// those of its own code (letters-0.1.0.ndjson), each case with the states that it showed before and behind.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import type { Headers, OutRecord } from "../../src/engine/core/record.ts";
import { beginReset } from "../../src/engine/letters/commands/generation.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import type { Reading } from "../../src/engine/notes/generations.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import { giveBackLetters, takeOverLetters } from "../../src/engine/reprocess/promote/letters.ts";
import { Fleet } from "../support/fleet.ts";
import { input, operatorOf, output, rows } from "../support/redriving.ts";

const shop: Pipeline = pipeline("shop", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .expect("fits", () => true, { otherwise: "dead-letter" })
    .to(output);
  from(output)
    .expect("sells", () => true, { otherwise: "dead-letter" })
    .upsertInto(rows);
});
const plan = shop.plan();
const [{ name: first } = { name: "" }] = plan.parts;
const shadow = shadowOf(plan, { run: 2, target: "shadow", staged: [], pins: new Map() });

type States = Readonly<Record<string, string>>;
interface Case extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly records: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: string;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: readonly (readonly [string, string | null])[];
    readonly timestamp: number;
  }[];
}

const cases = readFileSync(join(import.meta.dirname, "letters-0.1.0.ndjson"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Case);

const bytes = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, "base64");

/** Each record under the offset that it had. */
async function recorded(
  name: string,
): Promise<{ readonly fleet: Fleet; states(key: string): States }> {
  const found = cases.find((one) => one.name === name) ?? assert.fail(name);
  const fleet = new Fleet([shop, { ...shop, name: shadow.pipeline, plan: () => shadow }]);
  // As 0.1.0 made them.
  await fleet.during(fleet.kafka.port().admin().deleteTopics([plan.deadLetters]));
  for (const topic of [plan.deadLetters, plan.parked])
    fleet.kafka.createTopic({ topic, partitions: 2 });
  fleet.kafka.createTopic({ topic: plan.letterStates, partitions: 1 });
  const ends = new Map<string, bigint>();
  for (const { offset, headers, key, value, ...at } of found.records) {
    const place = `${at.topic}-${String(at.partition)}`;
    const end = ends.get(place) ?? 0n;
    const filler = { ...at, key: Buffer.from("-"), value: Buffer.from("{}"), headers: [] };
    const gap = Array.from({ length: Number(BigInt(offset) - end) }, (): OutRecord => filler);
    const own: Headers = headers.map(([header, text]) => [header, bytes(text)]);
    await fleet.sendRecords([
      ...gap,
      { ...at, key: bytes(key), value: bytes(value), headers: own },
    ]);
    ends.set(place, BigInt(offset) + 1n);
  }
  return { fleet, states: (key) => found[key] as States };
}

async function seen(fleet: Fleet): Promise<States> {
  const { letters } = await fleet.during(readLetters(plan, operatorOf(fleet).ports));
  return Object.fromEntries(letters.map(({ id, state }) => [id, state.state]));
}

/** Discarded, in 0.1.0, were also letters whose records went another way; they may be over now, or of another line. */
function same(now: States, before: States): void {
  const notOver = (states: States): States =>
    Object.fromEntries(
      Object.entries(states)
        .filter(([, state]) => state !== "discarded" && state !== "over")
        .sort(),
    );
  assert.deepEqual(notOver(now), notOver(before));
}

const positions = plan.parts.flatMap(({ name: part, sources }) =>
  sources.flatMap(({ name: topic }) =>
    [0, 1].map((partition) => {
      return { part, topic, partition, nextOffset: 40n, isForeign: topic === input.name };
    }),
  ),
);

const resetTo = (fleet: Fleet, readings: readonly Omit<Reading, "part" | "topic">[]) => {
  const own = readings.map((at) => ({ ...at, part: first, topic: input.name }));
  const resetting = { readings: own, hasOtherStores: false, skipped: [] };
  const none = { positions: () => Promise.resolve(new Map<string, bigint>()) };
  return fleet.during(beginReset(plan, { ...resetting, ...none }, operatorOf(fleet).ports));
};

test("letters are shown as they were, over resets and a promotion", async () => {
  for (const { name } of cases) {
    const { fleet, states } = await recorded(name);
    same(await seen(fleet), states("seen"));
  }
});

test("a run that 0.1.0 has promoted is undone: every letter is as it was before", async () => {
  const { fleet, states } = await recorded("promoted");
  const { ports } = operatorOf(fleet);
  for (let twice = 0; twice < 2; twice++) {
    await fleet.during(giveBackLetters({ plan, run: 1, positions }, ports));
    same(await seen(fleet), states("undone"));
    same(await seen(fleet), states("before"));
  }
});

test("a run is promoted on top of one of 0.1.0's, and both are undone in turn", async () => {
  const { fleet, states } = await recorded("promoted");
  const { ports } = operatorOf(fleet);
  const places = positions
    .filter(({ isForeign }) => isForeign)
    .map(({ part, topic, partition }) => ({ part, topic, partition, from: 0n, to: 40n }));
  const succession = { plan, shadow, run: 2, places, positions };
  assert.deepEqual(await fleet.during(takeOverLetters(succession, ports)), { over: 5, refused: 0 });
  same(await seen(fleet), {});
  await fleet.during(giveBackLetters(succession, ports));
  same(await seen(fleet), states("seen"));
  await fleet.during(giveBackLetters({ ...succession, run: 1 }, ports));
  same(await seen(fleet), states("before"));
});

test("what 0.1.0 had put back is put forward before anybody has read it: its letters are open again", async () => {
  const { fleet, states } = await recorded("reset");
  const forward = [3n, 0n].map((stopped, partition) => ({ partition, from: 40n, stopped }));
  await resetTo(fleet, forward);
  same(await seen(fleet), states("passedOver"));
});

test("letters of a topic that was made anew in the days of 0.1.0 stay open over a reset", async () => {
  const { fleet, states } = await recorded("lost");
  await resetTo(
    fleet,
    [0, 1].map((partition) => ({ partition, from: 0n, stopped: 40n })),
  );
  same(await seen(fleet), { ...states("resetAgain"), ...overNow(states("resetAgain")) });
});

/** What had ended is over now: it was settled in the topic of today. */
const overNow = (states: States): States =>
  Object.fromEntries(
    Object.entries(states).flatMap(([id, state]) => (state === "resolved" ? [[id, "over"]] : [])),
  );
