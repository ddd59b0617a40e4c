// Windows that are open while another version of their aggregate's schema is deployed: whatever the kind of window, what lies in its
// store is read by the schema that it was written with, or the task stops and names it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  countWindow,
  hopping,
  json,
  pipeline,
  records,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Schema,
  type WindowOf,
} from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { ownFormat, subjectOf } from "../../src/engine/core/schema.ts";
import { Fleet } from "../support/fleet.ts";

interface Fed {
  readonly at: number;
}
type Kept = Readonly<Record<string, unknown>>;

const shape = { key: string, partitions: 1, owner: "tests" } as const;
const fed = topic("fed", {
  ...{ ...shape, value: json<Fed>(), idleAfter: "never" },
  timestamp: (one) => one.at,
});
const out = topic("out", { ...shape, value: json<Kept>() });

const grace = seconds(2);
const kinds: Readonly<Record<string, WindowOf>> = {
  tumbling: tumbling({ size: seconds(10), grace }),
  "hopping, by panes": hopping({ size: seconds(10), advance: seconds(5), grace }),
  sliding: sliding({ difference: seconds(10), grace }),
  session: session({ gap: seconds(10), grace }),
  count: countWindow({ size: records(3) }),
};

interface Version {
  readonly value: Schema<Kept>;
  readonly init: Kept;
}

const flowOf = (window: WindowOf, { value, init }: Version): Pipeline =>
  pipeline("flow", { state: "memory" }, ({ from }) => {
    from(fed)
      .groupByKey()
      .windowedBy(window)
      .aggregate("kept", {
        ...{ value, init: () => init, emit: "close" },
        add: (kept) => ({ ...kept, n: Number(kept["n"]) + 1 }),
        merge: (a, b) => ({ ...a, n: Number(a["n"]) + Number(b["n"]) }),
      })
      .toStream("row", (kept) => kept)
      .to(out);
  });

const record = (...fields: readonly object[]): Schema<Kept> =>
  avro({ type: "record", name: "Kept", fields });
const n = { name: "n", type: "int" };
const note = { name: "note", type: "string", default: "none" };
const first: Version = { value: record(n, note), init: { n: 0, note: "first" } };

const BEGIN = Date.UTC(2025, 5, 1);
const feed = (fleet: Fleet, second: number): Promise<void> =>
  fleet.send(fed.name, [{ at: BEGIN + second * 1_000 }]);

/** As `topics apply` does. */
async function registered(fleet: Fleet, pipeline: Pipeline): Promise<void> {
  for (const { name, value } of pipeline.plan().topics.all) {
    const format = ownFormat(value);
    if (format.kind === "avro")
      await fleet.registry.register(subjectOf(name, "value"), JSON.stringify(format.schema));
  }
}

/** The first version has taken two records, and has left. */
async function begun(window: WindowOf, version: Version): Promise<Fleet> {
  const fleet = new Fleet([flowOf(window, version)]);
  await registered(fleet, flowOf(window, version));
  const { worker } = await fleet.join();
  await feed(fleet, 1);
  await feed(fleet, 2);
  await fleet.drained();
  await fleet.during(worker.stop());
  return fleet;
}

/** The first window that this version closes: it takes a record more, of the same window. */
async function gone(fleet: Fleet, window: WindowOf, version: Version): Promise<Kept | undefined> {
  await registered(fleet, flowOf(window, version));
  await fleet.join({ plans: [flowOf(window, version).plan()] });
  await feed(fleet, 3);
  await feed(fleet, 100);
  await fleet.until("a window is closed", () => fleet.values(out).length > 0);
  assert.deepEqual(fleet.letters(), []);
  return fleet.values(out).at(window.kind === "sliding" ? 2 : 0);
}

const changed: Readonly<Record<string, readonly [Version, Kept]>> = {
  "no field": [first, { n: 3, note: "first" }],
  "a field added, with a default": [
    {
      value: record(n, note, { name: "more", type: "string", default: "default" }),
      init: { n: 0, note: "second", more: "second" },
    },
    { n: 3, note: "first", more: "default" },
  ],
  "a field removed": [{ value: record(n), init: { n: 0 } }, { n: 3 }],
  "a field named anew": [
    {
      value: record(n, { name: "text", aliases: ["note"], type: "string" }),
      init: { n: 0, text: "second" },
    },
    { n: 3, text: "first" },
  ],
};

/** Why a version does not go on. */
async function stopped(fleet: Fleet, window: WindowOf, version: Version): Promise<string> {
  const { worker } = await fleet.join({ plans: [flowOf(window, version).plan()] });
  await feed(fleet, 3);
  const why = (): string[] =>
    worker.health().flatMap((task) => (task.state === "stopped" ? [task.message] : []));
  await fleet.until("it stops", () => why().length > 0);
  assert.deepEqual([fleet.values(out), fleet.letters()], [[], []]);
  return why().join();
}

const checked = (field: string): Version => ({
  value: json<Kept>({
    "~standard": {
      version: 1,
      validate: (value: unknown) =>
        typeof (value as Kept)[field] === "string"
          ? { value: value as Kept }
          : { issues: [{ message: "required", path: [field] }] },
    },
  }),
  init: { n: 0, [field]: "text" },
});

for (const [kind, window] of Object.entries(kinds)) {
  for (const [change, [version, want]] of Object.entries(changed))
    test(`open windows (${kind}) are read by their writer's schema: ${change}`, async () => {
      const fleet = await begun(window, first);
      assert.deepEqual(await gone(fleet, window, version), want);
    });

  test(`open windows (${kind}) whose field is of another type now: the schema is refused before a start`, async () => {
    const fleet = await begun(window, first);
    const value = record(n, { name: "note", type: "int" });
    await assert.rejects(
      registered(fleet, flowOf(window, { value, init: { n: 0, note: 1 } })),
      /flow-kept-changelog-value: note: string cannot be read as int/,
    );
  });

  test(`open windows (${kind}) in JSON that the validator of now refuses: the task stops and names the store`, async () => {
    const fleet = await begun(window, checked("note"));
    assert.match(await stopped(fleet, window, checked("text")), /store kept of kept: MILL_DECODE_/);
  });

  test(`open windows (${kind}) in JSON are not read by an Avro schema: the start is refused`, async () => {
    const fleet = await begun(window, checked("note"));
    await registered(fleet, flowOf(window, first));
    const error: unknown = await fleet
      .join({ plans: [flowOf(window, first).plan()] })
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ConfigErrors);
    assert.match(error.problems[0]?.message ?? "", /value .*json is now .*avro Kept/);
  });
}
