// Keys in state that their schema no longer decodes when their entry is due: the result is a letter with the bytes of the key,
// and the task goes on. A schema that nobody has learnt yet is none of these.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  records,
  hopping,
  json,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type WindowOf,
} from "#engine";
import { headerText } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { redriveAll } from "../support/redriving.ts";

interface View {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const at = (second: number): number => BEGIN + second * 1_000;

/** The key of a version of the code: some refuse the key "odd". */
const keyOf = (isStrict: boolean) =>
  json({
    "~standard": {
      version: 1 as const,
      validate: (value: unknown) =>
        isStrict && value === "odd"
          ? { issues: [{ path: ["key"] }] as const }
          : { value: value as string },
    },
  });

const inputOf = (isStrict: boolean) =>
  topic("views", {
    ...{ key: keyOf(isStrict), value: json<View>(), partitions: 1, owner: "tests" },
    timestamp: (view) => view.at,
  });
const rows = topic("rows", {
  ...{ key: string, value: json<string>(), partitions: 1, owner: "tests" },
});
const put = (fleet: Fleet, second: number, key: Buffer): Promise<void> => {
  const value = Buffer.from(JSON.stringify({ at: at(second) }));
  const own = { topic: "views", partition: 0, headers: [], timestamp: at(second) };
  return fleet.sendRecords([{ ...own, key, value }]);
};
const view = (fleet: Fleet, second: number, key: string): Promise<void> =>
  put(fleet, second, Buffer.from(JSON.stringify(key)));

type Version = (isStrict: boolean) => Pipeline;
const counting =
  (window: WindowOf): Version =>
  (isStrict) =>
    pipeline("counting", { haltWhen: "never" }, ({ from }) => {
      from(inputOf(isStrict))
        .groupByKey()
        .windowedBy(window)
        .count("views-by-key", { emit: "close" })
        .toStream("row", (views, { key, start }) => {
          const from = (start.getTime() - BEGIN) / 1_000;
          return `${key} ${String(from)}: ${String(views)}`;
        })
        .rekey("by-row", (row) => row)
        .to(rows);
    });

/** Works records of three keys, and closes their windows under a version that may refuse one of them. */
async function closed(version: Version, isStrict: boolean): Promise<Fleet> {
  const fleet = new Fleet([version(false)]);
  const first = await fleet.join();
  for (const key of ["odd", "odd", "even"]) await view(fleet, 1, key);
  await fleet.drained();
  await fleet.during(first.worker.stop());
  const next = await fleet.join({ plans: [version(isStrict).plan()] });
  for (const second of [60, 90]) await view(fleet, second, "x");
  await fleet.drained();
  await fleet.during(next.worker.stop());
  return fleet;
}
const shown = (fleet: Fleet): string[] =>
  fleet
    .values(rows)
    .filter((row) => !row.startsWith("x"))
    .sort();
/** Of each letter: its class, step, key, operator and window. */
const lettersOf = (fleet: Fleet) =>
  fleet.kafka
    .records(fleet.plans[0]?.deadLetters ?? "", { committed: true })
    .map(({ key, headers }) => [
      ...["class", "step", "operator"].map((name) => headerText(headers, `dlq.${name}`)),
      ...[String(key), headerText(headers, "dlq.window-start") !== null],
    ]);

const grace = seconds(1);
for (const [name, window] of [
  ["tumbling", tumbling({ size: seconds(10), grace })],
  ["hopping", hopping({ size: seconds(10), advance: seconds(5), grace })],
  ["session", session({ gap: seconds(5), grace })],
  ["sliding", sliding({ difference: seconds(4), grace })],
] as const)
  test(`a result of ${name} windows whose key cannot be read is a letter, the others go on, and it comes back`, async () => {
    const version = counting(window);
    const want = shown(await closed(version, false));
    const odd = want.filter((row) => row.startsWith("odd "));
    assert.ok(odd.length > 0 && odd.length < want.length);
    const fleet = await closed(version, true);
    assert.deepEqual(
      shown(fleet),
      want.filter((row) => !odd.includes(row)),
    );
    const letter = ["result", "views-by-key", "views-by-key", '"odd"', true];
    assert.deepEqual(
      lettersOf(fleet),
      odd.map(() => letter),
    );
    assert.equal((await fleet.ledger("main"))["dead-results"], odd.length);
    await redriveAll(fleet);
    await fleet.join();
    await fleet.until("they are back", () => shown(fleet).length === want.length);
    assert.deepEqual(shown(fleet), want);
  });

test("a suppressed change whose key cannot be read is a letter, and comes back", async () => {
  const version: Version = (isStrict) =>
    pipeline("counting", { haltWhen: "never" }, ({ from }) => {
      from(inputOf(isStrict))
        .groupByKey()
        .count("views-by-key")
        .suppress("calm", { for: seconds(10), recordsMax: records(100), whenFull: "emit" })
        .toStream()
        .map("row", (views, { key }) => `${key}: ${String(views)}`)
        .rekey("by-row", (row) => row)
        .to(rows);
    });
  const fleet = await closed(version, true);
  assert.deepEqual(shown(fleet), ["even: 1"]);
  assert.deepEqual(lettersOf(fleet), [["result", "calm", "calm", '"odd"', false]]);
  await redriveAll(fleet);
  await fleet.join();
  await fleet.until("it is back", () => shown(fleet).length === 2);
  assert.deepEqual(shown(fleet), ["even: 1", "odd: 2"]);
});

test("a timer whose key cannot be read is a letter, the others fire, and it comes back", async () => {
  const version: Version = (isStrict) =>
    pipeline("counting", { haltWhen: "never" }, ({ from }) => {
      from(inputOf(isStrict))
        .process("alarm", {
          timers: { late: "event-time" },
          onRecord: (_view, { timers, record }) => {
            timers.late.at(record.timestamp + seconds(5).ms);
            return [];
          },
          onTimer: { late: ({ key }) => [`${key} is late`] },
        })
        .rekey("by-row", (row) => row)
        .to(rows);
    });
  const fleet = await closed(version, true);
  assert.deepEqual(shown(fleet), ["even is late"]);
  assert.deepEqual(lettersOf(fleet), [["result", "alarm", "alarm", '"odd"', false]]);
  await redriveAll(fleet);
  await fleet.join();
  await fleet.until("it is back", () => shown(fleet).length === 2);
  assert.deepEqual(shown(fleet), ["even is late", "odd is late"]);
});

test("the schema of a key is learnt by a worker that meets the key at the close of its window", async () => {
  const reader = { type: "record", name: "Id", fields: [{ name: "id", type: "string" }] };
  const extra = { name: "more", type: "string" };
  const writer = { ...reader, fields: [...reader.fields, extra] };
  const id = avro<{ readonly id: string }>(reader);
  const source = topic("views", {
    ...{ key: id, value: json<View>(), partitions: 1, owner: "tests" },
    timestamp: (one) => one.at,
  });
  const flow = pipeline("counting", ({ from }) => {
    from(source)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace }))
      .count("views-by-key", { emit: "close" })
      .toStream("row", (views, { key }) => `${key.id}: ${String(views)}`)
      .rekey("by-row", (row) => row)
      .to(topic("rows", { key: string, value: json<string>(), partitions: 1, owner: "tests" }));
  });
  const fleet = new Fleet([flow]);
  const avroKey = (schema: object, body: string): Buffer => {
    const head = Buffer.alloc(5);
    head.writeInt32BE(fleet.registry.force("views-key", JSON.stringify(schema)), 1);
    return Buffer.concat([head, Buffer.from(body, "hex")]);
  };
  const first = await fleet.join();
  await put(fleet, 1, avroKey(writer, "02610262"));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  await fleet.join();
  await put(fleet, 60, avroKey(reader, "0278"));
  await fleet.drained();
  assert.deepEqual(fleet.letters(), []);
  const made = fleet.kafka.records("rows", { committed: true }).map(({ value }) => String(value));
  assert.deepEqual(made, ['"a: 1"']);
});
