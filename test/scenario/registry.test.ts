// A schema registry that is away, and an id that it does not know: the first is waited for, the second is a dead letter.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, string, topic, type PostgresTable } from "#engine";
import { Fleet } from "../support/fleet.ts";

interface Note {
  readonly id: string;
}
const schema = {
  type: "record",
  name: "Note",
  namespace: "t",
  fields: [{ name: "id", type: "string" }],
} as const;
const notes = topic("notes", { key: string, value: avro<Note>(schema), partitions: 1, owner: "t" });
const copies = topic("copies", { key: string, value: json<Note>(), partitions: 1, owner: "t" });
const table: PostgresTable<Note> = postgresTable<Note>("rows", {
  row: avro<Note>(schema),
  key: ["id"],
});
const flow = pipeline("flow", ({ from }) => {
  from(notes)
    .map("plain", ({ id }) => ({ id }))
    .to(copies as never);
  from(notes).upsertInto(table);
});

/** A one-letter note as Avro in the Confluent wire format. */
function written(schemaId: number, letter: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(schemaId, 1);
  return Buffer.concat([head, Buffer.from([2]), Buffer.from(letter)]);
}

async function started() {
  const fleet = new Fleet([flow]);
  await fleet.join();
  await fleet.drained();
  const arrived = () => ({
    copies: fleet.values(copies).map(({ id }) => id),
    rows: fleet.tables.rows(table).map(({ id }) => id),
    letters: fleet.letters().map(({ offset, code }) => `${String(offset)} ${String(code)}`),
  });
  return { fleet, arrived };
}

test("a registry that is away makes no dead letter: the record waits for it", async () => {
  const { fleet, arrived } = await started();
  const id = fleet.registry.force("notes-value", JSON.stringify(schema));
  fleet.registry.setAvailable(false);
  await fleet.send(notes.name, [written(id, "a"), written(id, "b")]);
  await fleet.clock.advance(120_000);
  assert.deepEqual(arrived(), { copies: [], rows: [], letters: [] });
  fleet.registry.setAvailable(true);
  await fleet.drained();
  assert.deepEqual(arrived(), { copies: ["a", "b"], rows: ["a", "b"], letters: [] });
});

test("an id that the registry does not know is a dead letter of each part, and the records behind it pass", async () => {
  const { fleet, arrived } = await started();
  const id = fleet.registry.force("notes-value", JSON.stringify(schema));
  await fleet.send(notes.name, [written(99, "x"), written(id, "a")]);
  await fleet.drained();
  const unknown = "0 MILL_DECODE_UNKNOWN_SCHEMA";
  assert.deepEqual(arrived(), { copies: ["a"], rows: ["a"], letters: [unknown, unknown] });
});

test("an id that was unknown is asked for again, so a late registration is found without a restart", async () => {
  const { fleet, arrived } = await started();
  await fleet.send(notes.name, [written(1, "x")]);
  await fleet.drained();
  assert.equal(fleet.registry.force("notes-value", JSON.stringify(schema)), 1);
  await fleet.clock.advance(60_000);
  await fleet.send(notes.name, [written(1, "a")]);
  await fleet.drained();
  assert.deepEqual([arrived().copies, arrived().rows], [["a"], ["a"]]);
});
