// Letters of a sink, which its outbox owes after the decision, and which their topic refuses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable } from "#engine";
import { headerText, type OutRecord } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const fields = [
  { name: "id", type: "string" },
  { name: "n", type: "int" },
];
const rows = postgresTable<Thing>("rows", {
  row: avro({ type: "record", name: "Row", namespace: "t", fields }),
  key: ["id"],
});
const sink = pipeline("sink", ({ from }) => {
  from(input).upsertInto(rows);
});
const LETTERS = "sink-dead-letters";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
/** Every third is no JSON. */
const values = (count: number): unknown[] =>
  upTo(count).map((n) => (n % 3 === 0 ? Buffer.from(`{${String(n)}`) : { id: String(n), n }));

async function started(refuses: (record: OutRecord) => boolean) {
  const fleet = new Fleet([sink], { breaker: false });
  const { worker } = await fleet.join();
  await fleet.drained();
  fleet.kafka.refusing((record) =>
    record.topic === LETTERS && refuses(record) ? { code: "INVALID_RECORD", words: null } : null,
  );
  return { fleet, worker };
}

const stored = (fleet: Fleet): number => fleet.tables.rows(rows).length;
const lettersOf = (fleet: Fleet) => fleet.kafka.records(LETTERS, { committed: true });

test("a refused letter goes as pointer and hash, and holds up no other", async () => {
  const { fleet } = await started(({ value }) => String(value) === "{6");
  await fleet.send(input.name, values(12));
  await fleet.drained();
  assert.equal(stored(fleet), 8);
  const letters = lettersOf(fleet).map(({ value, headers }) => [
    headerText(headers, "dlq.offset"),
    value === null ? headerText(headers, "dlq.pointer") : String(value),
  ]);
  assert.deepEqual(letters.sort(), [
    ["11", "{12"],
    ["2", "{3"],
    ["5", "in/0/5"],
    ["8", "{9"],
  ]);
  const small = lettersOf(fleet).find(({ value }) => value === null);
  assert.match(headerText(small?.headers ?? [], "dlq.value-sha256") ?? "", /^[0-9a-f]{64}$/);
});

test("one that is refused even so pauses its task; the others were sent, once", async () => {
  let isClosed = true;
  const { fleet, worker } = await started(
    ({ value, headers }) =>
      isClosed && (String(value) === "{6" || headerText(headers, "dlq.offset") === "5"),
  );
  await fleet.send(input.name, values(12));
  await fleet.clock.advance(60_000);
  assert.equal(lettersOf(fleet).length, 3);
  const [task] = worker.health().filter(({ state }) => state === "paused");
  assert.match((task as { why: string } | undefined)?.why ?? "", /sink-dead-letters-0: INVALID/);
  isClosed = false;
  await fleet.until("the last is sent", () => lettersOf(fleet).length === 4);
  await fleet.send(input.name, values(2));
  await fleet.drained();
  assert.equal(lettersOf(fleet).length, 4);
  assert.equal(stored(fleet), 8);
});

for (const [what, close, open, why] of [
  [
    "may not be written",
    (fleet: Fleet) => Promise.resolve(fleet.kafka.forbid(LETTERS)),
    (fleet: Fleet) => fleet.kafka.forbid(LETTERS, false),
    /needs the right Write/,
  ],
  [
    "is missing",
    (fleet: Fleet) => fleet.during(fleet.kafka.port().admin().deleteTopics([LETTERS])),
    (fleet: Fleet) => fleet.kafka.createTopic({ topic: LETTERS, partitions: 2 }),
    /sink-dead-letters is missing: run npx millrace topics apply/,
  ],
] as const)
  test(`a letters' topic that ${what} pauses the task, and nothing is lost`, async () => {
    const { fleet, worker } = await started(() => false);
    await close(fleet);
    await fleet.send(input.name, values(6));
    await fleet.clock.advance(60_000);
    const [task] = worker.health().filter(({ state }) => state === "paused");
    assert.match((task as { why: string } | undefined)?.why ?? "", why);
    open(fleet);
    await fleet.until("both are sent", () => lettersOf(fleet).length === 2);
    await fleet.drained();
    assert.equal(stored(fleet), 4);
  });
