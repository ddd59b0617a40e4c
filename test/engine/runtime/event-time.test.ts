import assert from "node:assert/strict";
import { test } from "node:test";
import { hours, json, pipeline, seconds, string, topic, type Pipeline, type Topic } from "#engine";
import { redrive, send, sendBytes, simulate, type SimulatedStep } from "#testing";
import { headerText } from "../../../src/engine/core/record.ts";

interface Timed {
  readonly at: unknown;
}
type Invalid = "dead-letter" | "kafka-timestamp" | "halt";

/** When the records were produced, by Kafka. */
const KAFKA = Date.UTC(2025, 5, 1);
const HOUR = 3_600_000;
const at = { at: KAFKA };

const inputOf = (invalidTimestamp?: Invalid, futureMax?: ReturnType<typeof hours>) =>
  topic("in", {
    key: string,
    value: json<Timed>(),
    partitions: 1,
    owner: "tests",
    timestamp: (value) => value.at as number,
    ...(invalidTimestamp === undefined ? {} : { invalidTimestamp }),
    ...(futureMax === undefined ? {} : { futureMax }),
  });
const output = topic("out", { key: string, value: json<Timed>(), partitions: 1, owner: "tests" });
/** Without state, and with: they take records through different doors. */
const copyOf = (input: Topic<string, Timed>): Pipeline =>
  pipeline("flow", ({ from }) => from(input).to(output));
const onceOf = (input: Topic<string, Timed>): Pipeline =>
  pipeline("flow", ({ from }) =>
    from(input)
      .distinct("once", { by: (value) => JSON.stringify(value.at), within: hours(2) })
      .to(output),
  );
const doors = { "without state": copyOf, "with state": onceOf };

const input = inputOf();
const flow = onceOf(input);
const sent = (values: readonly unknown[], to = input): SimulatedStep[] =>
  values.map((value) => send(to, "k", { at: value }, at));
const codes = (letters: readonly { code: string | null }[]) => letters.map(({ code }) => code);

test("a record's time is a whole number of milliseconds, as Kafka and stores write it", async () => {
  const { records, deadLetters } = await simulate(flow, sent([KAFKA + 1_500.75]));
  assert.deepEqual(
    records(output).map(({ timestamp }) => timestamp),
    [KAFKA + 1_500],
  );
  assert.deepEqual(deadLetters, []);
});

const NONE = [null, "", [], true, false, "1767225600000", {}, -1];
const UNITS = [0, 1, KAFKA / 1_000];
const FUTURE = [KAFKA + HOUR + 1, KAFKA * 1_000, Date.UTC(9999, 11, 31)];

for (const [door, flowOf] of Object.entries(doors)) {
  test(`what is no usable time is a dead letter, never 1970, and the good ones pass (${door})`, async () => {
    const values = [...NONE, ...UNITS, ...FUTURE];
    const steps = sent([...values, KAFKA + HOUR, KAFKA - 1]);
    const { records, deadLetters, ledger } = await simulate(flowOf(input), steps);
    assert.deepEqual(codes(deadLetters), [
      ...NONE.map(() => "MILL_DECODE_NO_TIMESTAMP"),
      ...UNITS.map(() => "MILL_DECODE_TIMESTAMP_UNIT"),
      ...FUTURE.map(() => "MILL_DECODE_FUTURE_TIMESTAMP"),
    ]);
    assert.deepEqual(
      records(output).map(({ timestamp }) => timestamp),
      [KAFKA + HOUR, KAFKA - 1],
    );
    const letters = values.length;
    assert.deepEqual(ledger("main"), {
      consumed: letters + 2,
      emitted: 2,
      "dead-lettered": letters,
    });
  });

  test(`a field that is missing, and what JSON cannot say, is a dead letter (${door})`, async () => {
    const values = { missing: undefined, nan: NaN, infinite: Infinity, date: new Date(KAFKA) };
    const odd = topic("in", {
      key: string,
      value: json<{ name: keyof typeof values }>(),
      partitions: 1,
      owner: "tests",
      timestamp: ({ name }) => values[name] as number,
    });
    const steps = Object.keys(values).map((name) => send(odd, "k", { name: name as never }, at));
    const { deadLetters } = await simulate(flowOf(odd as never), steps);
    assert.deepEqual(codes(deadLetters), Array(4).fill("MILL_DECODE_NO_TIMESTAMP"));
    const message = (i: number) => headerText(deadLetters[i]?.record.headers ?? [], "dlq.message");
    assert.match(message(0) ?? "", /returned undefined/);
    assert.match(message(3) ?? "", /a Date: return its getTime/);
  });

  test(`"kafka-timestamp" takes Kafka's (${door})`, async () => {
    const use = inputOf("kafka-timestamp");
    const values = [...NONE, ...UNITS, ...FUTURE];
    const { records, deadLetters } = await simulate(flowOf(use), sent(values, use));
    assert.deepEqual(codes(deadLetters), []);
    assert.deepEqual(
      records(output).map(({ timestamp }) => timestamp),
      values.map(() => KAFKA),
    );
  });
}

test("the suspected unit is said, and no value", async () => {
  const { deadLetters } = await simulate(
    flow,
    sent([1_767_225_600_000_000, 1_767_225_600, "secret"]),
  );
  const said = deadLetters.map(({ record }) => headerText(record.headers, "dlq.message") ?? "");
  assert.match(said[0] ?? "", /looks like microseconds/);
  assert.match(said[1] ?? "", /looks like seconds/);
  for (const message of said) assert.doesNotMatch(message, /secret|17672256/);
});

test("S2: futureMax says how far ahead of Kafka's timestamp a time may lie", async () => {
  const patient = inputOf("dead-letter", hours(3));
  const steps = sent([KAFKA + 2 * HOUR, KAFKA + 3 * HOUR, KAFKA + 3 * HOUR + 1], patient);
  const { records, deadLetters } = await simulate(copyOf(patient), steps);
  assert.deepEqual([records(output).length, deadLetters.length], [2, 1]);
});

test("S2: a refused time moves no time, and neither does one for which Kafka's stands in", async () => {
  for (const use of [input, inputOf("kafka-timestamp")]) {
    const early = KAFKA - 10 * HOUR;
    // Within a second of event time the second `early` is a repeat, unless something between moved it by hours.
    const steps = sent([early, KAFKA + 2 * HOUR, null, early], use);
    const { ledger } = await simulate(onceOf(use), steps);
    assert.equal(ledger("main")["deduplicated"], 1, use.invalidTimestamp);
  }
});

test("a repeat is one also where the first of a task has no time of its own", async () => {
  const use = inputOf("kafka-timestamp");
  const steps = sent([null, KAFKA - 500, null], use);
  const flowOf = pipeline("flow", ({ from }) =>
    from(use)
      .distinct("once", { by: () => "one", within: seconds(1) })
      .to(output),
  );
  const { ledger } = await simulate(flowOf, steps);
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 1, deduplicated: 2 });
});

test("a tombstone does not move stream time where the value tells the time", async () => {
  const early = KAFKA - HOUR;
  const steps = [early, null, early].map((ms) =>
    send(input, "k", ms === null ? null : { at: ms }, at),
  );
  const { ledger } = await simulate(flow, steps);
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 2, deduplicated: 1 });
});

test("a timestamp function that throws makes a letter of the callback, whatever invalidTimestamp says", async () => {
  for (const invalidTimestamp of ["dead-letter", "kafka-timestamp", "halt"] as const) {
    const throwing = topic("in", {
      key: string,
      value: json<Timed>(),
      partitions: 1,
      owner: "tests",
      timestamp: (): number => {
        throw new TypeError("secret");
      },
      invalidTimestamp,
    });
    const { deadLetters } = await simulate(copyOf(throwing), [send(throwing, "k", { at: 1 }, at)]);
    assert.deepEqual(codes(deadLetters), ["MILL_TRANSFORM_THREW"]);
    const message = headerText(deadLetters[0]?.record.headers ?? [], "dlq.message");
    assert.doesNotMatch(message ?? "", /secret/);
  }
});

test("a letter that comes back is judged by the record's first Kafka timestamp, however late it comes", async () => {
  const { letterStates, deadLetters } = await simulate(flow, [
    // It comes back when virtual time is months ahead of the record.
    ...sent([KAFKA + 2 * HOUR]),
    redrive,
  ]);
  assert.deepEqual(letterStates, { open: 1 });
  assert.deepEqual(codes(deadLetters), Array(2).fill("MILL_DECODE_FUTURE_TIMESTAMP"));
});

test("a record without a Kafka timestamp: its own time is taken, and none is a letter under every policy", async () => {
  const bare = topic("in", { key: string, value: json<Timed>(), partitions: 1, owner: "tests" });
  for (const [use, letters] of [
    [input, 2],
    [inputOf("kafka-timestamp"), 2],
    [bare, 3],
  ] as const) {
    const steps = [
      send(use, "k", { at: KAFKA }, { at: -1 }),
      send(use, "k", { at: null }, { at: -1 }),
      sendBytes(use as never, Buffer.from("k"), null, { at: -1 }),
    ];
    const { deadLetters, records } = await simulate(copyOf(use), steps);
    assert.deepEqual(codes(deadLetters), Array(letters).fill("MILL_DECODE_NO_TIMESTAMP"));
    assert.deepEqual(
      records(output).map(({ timestamp }) => timestamp),
      letters === 3 ? [] : [KAFKA],
    );
  }
});

test("Kafka's own timestamp is the broker's to judge, unless it is no date", async () => {
  const bare = topic("in", { key: string, value: json<Timed>(), partitions: 1, owner: "tests" });
  const years = [KAFKA + 1_000 * HOUR, KAFKA * 1_000, KAFKA * 1_000_000];
  const steps = years.map((ms) => send(bare, "k", { at: 1 }, { at: ms }));
  const { deadLetters, records } = await simulate(onceOf(bare), steps.slice(0, 1));
  assert.deepEqual([deadLetters.length, records(output)[0]?.timestamp], [0, years[0]]);
  const all = await simulate(copyOf(bare), steps);
  assert.deepEqual(codes(all.deadLetters), ["MILL_DECODE_NO_TIMESTAMP"]);
  assert.equal(all.records(output).length, 2);
});
