// What is missing at a start is named with the command that makes it, for the pipeline that needs it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, string, topic } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import type { SchemaRegistry } from "../../../src/engine/core/ports.ts";
import { checkTopics, findWriterIds } from "../../../src/engine/runtime/preflight.ts";

const shape = { key: string, partitions: 1, owner: "tests" };
const input = topic("clicks", { ...shape, value: json<object>() });
const output = topic("pages", {
  ...shape,
  value: avro<object>({ type: "record", name: "Page", fields: [] }),
});
const plan = pipeline("counting", ({ from }) => {
  from(input).to(output);
}).plan();

const problemsOf = async (work: Promise<unknown>): Promise<string[]> => {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigErrors, String(error));
  return error.problems.map(({ code, message }) => `${code} ${message}`);
};

test("topics and schemas that are missing name topics apply with their pipeline", async () => {
  const admin = {
    describeTopics: (names: readonly string[]) =>
      Promise.resolve(new Map(names.map((name) => [name, null]))),
  } as unknown as AdminPort;
  const missing = await problemsOf(checkTopics([plan], admin));
  const made = ". To make it: npx millrace topics apply counting";
  assert.deepEqual(
    missing,
    ["clicks", "pages", "counting-dead-letters", "counting-meta"].map(
      (name) => `MILL_TOPIC_MISSING a topic does not exist: ${name}${made}`,
    ),
  );
  const registry = { idOf: () => Promise.resolve(null) } as unknown as SchemaRegistry;
  assert.deepEqual(await problemsOf(findWriterIds([plan], registry)), [
    `MILL_SCHEMA_UNREGISTERED a schema is not registered: pages-value${made}`,
  ]);
});
