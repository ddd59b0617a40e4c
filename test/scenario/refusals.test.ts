// Outputs that Kafka refuses for what they are: the record that made one is a dead letter without any other effect, all
// others pass once and in order, the worker lives, and its other pipelines are not disturbed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nullable, json, pipeline, string, topic, type Pipeline } from "#engine";
import { headerText, type OutRecord } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const second = things("second", 1);
const otherInput = things("other-in", 1);
const otherOutput = things("other-out", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

const copy = pipeline("copy", ({ from }) => {
  const all = from(input);
  all.to(output);
  all.map("twice", (t) => ({ ...t, n: 2 * t.n })).to(second);
});
const other = pipeline("other", ({ from }) => {
  from(otherInput).to(otherOutput);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));
const numbers = (values: readonly Thing[]): number[] => values.map(({ n }) => n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

async function started(...pipelines: readonly Pipeline[]): Promise<Fleet> {
  const fleet = new Fleet(pipelines, { breaker: false });
  await fleet.join();
  await fleet.drained();
  return fleet;
}

/** Refuses records of one topic whose JSON is so. */
function refuse(
  fleet: Fleet,
  name: string,
  code: string,
  isBad: (value: unknown) => boolean,
): void {
  fleet.kafka.refusing((record) =>
    record.topic === name && record.value !== null && isBad(jsonOf(record))
      ? { code, words: null }
      : null,
  );
}
const jsonOf = ({ value }: Pick<OutRecord, "value">): unknown => {
  const text = String(value);
  return JSON.parse(text.slice(text.search(/[[{"\d-]/))) as unknown;
};

const letterFacts = (fleet: Fleet, name: string) =>
  fleet.kafka
    .records(name, { committed: true })
    .map(({ headers }) =>
      ["class", "stage", "step", "code", "offset"].map((of) => headerText(headers, `dlq.${of}`)),
    );

const rewinds = (fleet: Fleet, name: string): number =>
  fleet.meter.counter("millrace_rewinds_total", { pipeline: name });

for (const [code, letterClass, letterCode] of [
  ["MESSAGE_TOO_LARGE", "size", "MILL_RECORD_TOO_LARGE"],
  ["RECORD_LIST_TOO_LARGE", "size", "MILL_RECORD_TOO_LARGE"],
  ["INVALID_TIMESTAMP", "sink", "MILL_OUTPUT_REFUSED"],
  ["POLICY_VIOLATION", "sink", "MILL_OUTPUT_REFUSED"],
  ["INVALID_RECORD", "sink", "MILL_OUTPUT_REFUSED"],
] as const)
  test(`${code} of some outputs makes letters of their records, and of nothing else`, async () => {
    const fleet = await started(copy, other);
    refuse(fleet, "second", code, (value) => (value as Thing).n % 20 === 0);
    const all = upTo(300);
    const good = all.filter((n) => n % 10 !== 0);
    await fleet.send(input.name, numbered(...all));
    await fleet.send(otherInput.name, numbered(...all));
    await fleet.drained();
    assert.deepEqual(numbers(fleet.values(output)), good, "the other branch is withdrawn");
    assert.deepEqual(
      numbers(fleet.values(second)),
      good.map((n) => 2 * n),
    );
    assert.deepEqual(numbers(fleet.values(otherOutput)), all);
    assert.deepEqual(
      letterFacts(fleet, "copy-dead-letters"),
      all
        .filter((n) => n % 10 === 0)
        .map((n) => [letterClass, "send", "second", letterCode, String(n - 1)]),
    );
    const { consumed, emitted, "dead-lettered": letters } = await fleet.ledger("main");
    assert.deepEqual([consumed, emitted, letters], [600, 570, 30]);
    assert.equal(rewinds(fleet, "other"), 1);
  });

test("a record without a key is a letter before a compacted topic is asked", async () => {
  const compacted = topic("compacted", {
    ...{ key: nullable(string), value: json<Thing>(), partitions: 1, owner: "tests" },
    compacted: true,
  });
  const source = topic("maybe", {
    ...{ key: nullable(string), value: json<Thing>(), partitions: 1, owner: "tests" },
  });
  const keyed = pipeline("keyed", ({ from }) => {
    from(source)
      .filter("all", () => true)
      .to(compacted);
  });
  const fleet = await started(keyed);
  await fleet.sendRecords(
    ["a", null, "b"].map((key, n) => ({
      ...{ topic: source.name, partition: 0, headers: [], timestamp: fleet.clock.now() },
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(JSON.stringify({ id: "x", n })),
    })),
  );
  await fleet.drained();
  assert.deepEqual(
    numbers(fleet.kafka.records("compacted", { committed: true }).map((r) => jsonOf(r) as Thing)),
    [0, 2],
  );
  assert.deepEqual(letterFacts(fleet, "keyed-dead-letters"), [
    ["sink", "send", "compacted", "MILL_OUTPUT_REFUSED", "1"],
  ]);
  assert.equal(rewinds(fleet, "keyed"), 0);
});

test("headers count where a record is too large for its topic", async () => {
  const fleet = await started(copy);
  const [one] = numbered(1);
  await fleet.during(
    fleet.kafka.port().admin().alterTopicConfig(input.name, { "max.message.bytes": "3000000" }),
  );
  await fleet.sendRecords(
    [2_000_000, 10].map((bytes) => ({
      ...{ topic: input.name, partition: 0, timestamp: fleet.clock.now(), key: Buffer.from("k") },
      value: Buffer.from(JSON.stringify(one)),
      headers: [["h", Buffer.alloc(bytes)]] as const,
    })),
  );
  await fleet.drained();
  assert.deepEqual(numbers(fleet.values(output)), [1]);
  assert.equal(fleet.letters()[0]?.code, "MILL_RECORD_TOO_LARGE");
});

/** A part with state: what a record adds is in the sum of all that follow. */
const summing = (emit: "update" | "checkpoint"): Pipeline =>
  pipeline("summing", { state: "memory" }, ({ from }) => {
    from(input)
      .groupByKey()
      .sum("sum", (t) => t.n, { emit })
      .to(sums);
  });

const thing = (key: string, n: number, more: Partial<OutRecord> = {}): OutRecord => ({
  ...{ topic: input.name, partition: 0, headers: [], timestamp: 1 },
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify({ id: key, n })),
  ...more,
});

const sumsOf = (fleet: Fleet): [string, number][] =>
  fleet.kafka
    .records("sums", { committed: true })
    .map((record) => [String(record.key), jsonOf(record) as number]);

const offsets = (fleet: Fleet): (string | null)[] => fleet.letters().map(({ offset }) => offset);

/** Sums of what is left when a sum of more than `most` is refused: its record is a letter, and adds nothing. */
function expectedSums(records: readonly [string, number][], most: number) {
  const state = new Map<string, number>();
  const letters: string[] = [];
  const told: [string, number][] = [];
  records.forEach(([key, n], offset) => {
    const sum = (state.get(key) ?? 0) + n;
    if (sum > most) return void letters.push(String(offset));
    state.set(key, sum);
    told.push([key, sum]);
  });
  return { letters, told, last: Object.fromEntries(state) };
}

const mixed = (count: number): [string, number][] =>
  upTo(count).map((n) => [`k${String(n % 7)}`, n % 40 === 13 ? 10_000 : n % 5]);

const lastOf = (told: readonly [string, number][]): Record<string, number> =>
  Object.fromEntries(told);

for (const where of ["sums", "summing-sum-changelog"])
  for (const emit of ["update", "checkpoint"] as const)
    test(`a record whose sum ${where} refuses is a letter and adds nothing, told at each ${emit}`, async () => {
      const fleet = await started(summing(emit), other);
      refuse(fleet, where, "INVALID_RECORD", (sum) => sumIn(sum) > 5_000);
      const records = mixed(400);
      await fleet.sendRecords(records.map(([key, n]) => thing(key, n)));
      await fleet.send(otherInput.name, numbered(...upTo(50)));
      await fleet.drained();
      const want = expectedSums(records, 5_000);
      assert.equal(want.letters.length, 10);
      assert.deepEqual(offsets(fleet).sort(), want.letters.sort());
      if (emit === "update") assert.deepEqual(sumsOf(fleet), want.told);
      assert.deepEqual(lastOf(sumsOf(fleet)), want.last);
      assert.deepEqual(numbers(fleet.values(otherOutput)), upTo(50));
      assert.equal(rewinds(fleet, "other"), 1, "the other pipeline is not rewound again and again");
      for (const [, , step] of letterFacts(fleet, "summing-dead-letters"))
        assert.equal(step, where);
      // The state is what the sums say, and goes on.
      await fleet.sendRecords([thing("k1", 1)]);
      await fleet.drained();
      assert.equal(sumsOf(fleet).at(-1)?.[1], (want.last["k1"] ?? 0) + 1);
    });

const sumIn = (value: unknown): number =>
  typeof value === "number" ? value : Number((value as { value?: unknown }).value ?? value);

test("a time that is refused is one letter, though later sums of its key carry it", async () => {
  const fleet = await started(summing("update"));
  const limit = { "message.timestamp.after.max.ms": "3600000" };
  await fleet.during(fleet.kafka.port().admin().alterTopicConfig("sums", limit));
  const now = fleet.clock.now();
  await fleet.sendRecords(
    upTo(9).map((n) => thing("k", n, { timestamp: n === 4 ? now + 7_200_000 : now + n })),
  );
  await fleet.drained();
  assert.deepEqual(offsets(fleet), ["3"]);
  assert.deepEqual(
    sumsOf(fleet).map(([, sum]) => sum),
    [1, 3, 6, 11, 17, 24, 32, 41],
  );
});

test("a worker that dies finds the refused records again, and each is one letter", async () => {
  for (const request of ["send", "commit"] as const)
    for (let nth = 1; nth <= 6; nth++) {
      const fleet = new Fleet([copy], { breaker: false });
      refuse(fleet, "second", "POLICY_VIOLATION", (value) => (value as Thing).n % 20 === 0);
      const member = await fleet.join();
      await fleet.drained();
      let left = nth;
      fleet.watcher = ({ worker, request: asked }) => {
        if (worker === member.life && asked === request && --left === 0) member.life.crash();
        return undefined;
      };
      await fleet.send(input.name, numbered(...upTo(30)));
      await fleet.clock.advance(5_000);
      await fleet.join();
      await fleet.drained();
      assert.deepEqual(offsets(fleet), ["9", "19", "29"], `${request} ${String(nth)}`);
      assert.deepEqual(
        numbers(fleet.values(output)),
        upTo(30).filter((n) => n % 10 !== 0),
      );
    }
});

test("a refused letter goes as pointer and hash", async () => {
  const fleet = await started(copy);
  fleet.kafka.refusing((record) =>
    (record.topic === "second" && String(record.value).includes('"n":8')) ||
    (record.topic === "copy-dead-letters" && record.value !== null)
      ? { code: "POLICY_VIOLATION", words: null }
      : null,
  );
  await fleet.send(input.name, numbered(...upTo(9)));
  await fleet.drained();
  const [letter, ...more] = fleet.kafka.records("copy-dead-letters", { committed: true });
  assert.equal(more.length, 0);
  assert.equal(letter?.value, null);
  assert.equal(headerText(letter?.headers ?? [], "dlq.pointer"), "in/0/3");
  assert.match(headerText(letter?.headers ?? [], "dlq.value-sha256") ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(numbers(fleet.values(output)), [1, 2, 3, 5, 6, 7, 8, 9]);
});

test("a letter that is refused even so pauses its task, which goes on when the topic takes it", async () => {
  const fleet = await started(copy, other);
  let isClosed = true;
  fleet.kafka.refusing((record) =>
    (record.topic === "second" && String(record.value).includes('"n":8')) ||
    (record.topic === "copy-dead-letters" && isClosed)
      ? { code: "POLICY_VIOLATION", words: null }
      : null,
  );
  await fleet.send(input.name, numbered(...upTo(9)));
  await fleet.send(otherInput.name, numbered(1));
  await fleet.clock.advance(60_000);
  await fleet.send(otherInput.name, numbered(2));
  await fleet.clock.advance(1_000);
  assert.deepEqual(fleet.letters(), []);
  assert.deepEqual(numbers(fleet.values(otherOutput)), [1, 2]);
  assert.ok(rewinds(fleet, "other") <= 1);
  isClosed = false;
  await fleet.drained();
  assert.deepEqual(offsets(fleet), ["3"]);
  assert.deepEqual(numbers(fleet.values(output)), [1, 2, 3, 5, 6, 7, 8, 9]);
});

for (const [what, close, open, why] of [
  [
    "the right to write it is missing",
    (fleet: Fleet) => fleet.kafka.forbid("second"),
    (fleet: Fleet) => fleet.kafka.forbid("second", false),
    /the topic second needs the right Write/,
  ],
  [
    "it is missing",
    (fleet: Fleet) => fleet.during(fleet.kafka.port().admin().deleteTopics(["second"])),
    (fleet: Fleet) => fleet.kafka.createTopic({ topic: "second", partitions: 1 }),
    /the topic second is missing: run npx millrace topics apply/,
  ],
] as const)
  test(`a task whose output topic takes nothing, as ${what}, waits alone and says so`, async () => {
    const fleet = new Fleet([copy, other], { breaker: false });
    const { worker } = await fleet.join();
    let hasEnded = false;
    void worker.ended.then(() => (hasEnded = true));
    await fleet.drained();
    await close(fleet);
    await fleet.send(input.name, numbered(1, 2));
    for (const n of upTo(30)) {
      await fleet.send(otherInput.name, numbered(n));
      await fleet.clock.advance(2_000);
    }
    assert.deepEqual(numbers(fleet.values(otherOutput)), upTo(30));
    assert.ok(rewinds(fleet, "other") <= 1, String(rewinds(fleet, "other")));
    const tasks = worker.health();
    const paused = tasks.filter(({ state }) => state === "paused");
    assert.deepEqual(
      paused.map(({ pipeline: of }) => of),
      ["copy"],
    );
    assert.match((paused[0] as { why: string }).why, why);
    assert.deepEqual([fleet.letters(), hasEnded], [[], false]);
    open(fleet);
    await fleet.drained();
    assert.deepEqual(numbers(fleet.values(second)), [2, 4]);
    assert.deepEqual(numbers(fleet.values(output)), [1, 2]);
    assert.ok(worker.health().every(({ state }) => state === "running"));
  });
