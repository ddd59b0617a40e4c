// Calls among several workers: what hangs while the task is taken away, what a chain of steps does with one key, records
// that no store takes, and what the meter says.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  milliseconds,
  pipeline,
  seconds,
  string,
  topic,
  type Pipeline,
  type RetryOptions,
} from "#engine";
import { advance, crash, send, simulate, type SimulatedStep } from "#testing";
import { headerText } from "../../src/engine/core/record.ts";
import { answers, callFlow, retry, service, Service, TIMEOUT_MS } from "../support/call-flow.ts";
import { checkStores } from "../../src/engine/runtime/store-notes.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { Fleet } from "../support/fleet.ts";

interface Doc {
  readonly n: number;
  readonly text: string;
}
const keyed = <V>(name: string) =>
  topic(name, { key: string, value: json<V>(), partitions: 1, owner: "tests" });
const docs = keyed<Doc>("docs");
const out = keyed<Doc>("out");
const doc = (key: string, n: number, text = ""): SimulatedStep => send(docs, key, { n, text });

const parkKey = (more: Partial<RetryOptions> = {}): RetryOptions => ({
  mode: "park-key",
  attempts: 4,
  backoff: { first: milliseconds(200), max: seconds(5) },
  ...more,
});
const bounds = { concurrency: 4, timeout: milliseconds(TIMEOUT_MS) };

/** Fails so many times for a record. */
const failing = (times: Readonly<Record<string, number>>) => {
  const left = new Map(Object.entries(times));
  return (name: string): void => {
    const more = left.get(name) ?? 0;
    left.set(name, more - 1);
    if (more > 0) throw new Error("no");
  };
};

const numbersOf = (
  found: readonly { readonly key: string; readonly value: Doc | null }[],
  key: string,
) => found.filter((one) => one.key === key).map(({ value }) => value?.n ?? null);

test("a callback that never resolves is one letter, and its partition moves on", async () => {
  for (const policy of [undefined, retry("block", { attempts: 2 }), retry("park-key")]) {
    const fleet = new Fleet([callFlow(policy)]);
    const services: Service[] = [];
    fleet.openResource = async () => {
      const one = new Service(fleet.clock, (_key, n) => (n === 1 ? "hangs" : "answers"));
      services.push(one);
      return { client: one, close: () => Promise.resolve() };
    };
    await fleet.join();
    await fleet.send(
      "asks",
      [0, 1].map((n) => ({ n })),
    );
    await fleet.drained();
    // Without a wait the rest would be given up with it, as they are of its key.
    await fleet.clock.advance(10_000);
    await fleet.send(
      "asks",
      [2, 3].map((n) => ({ n })),
    );
    await fleet.drained();
    await fleet.clock.advance(1_000);
    assert.deepEqual(
      fleet.values(answers).map(({ n }) => n),
      [0, 2, 3],
    );
    assert.deepEqual(
      fleet.letters().map(({ code }) => code),
      ["MILL_CALL_TIMEOUT"],
    );
    assert.equal(services[0]?.aborted, policy?.attempts ?? 1);
  }
});

test("a task that is taken away ends its calls, and the next owner makes them again", async () => {
  for (const mode of ["block", "park-key"] as const) {
    const fleet = new Fleet([callFlow(retry(mode))]);
    const services: Service[] = [];
    let isStuck = true;
    fleet.openResource = async () => {
      const one = new Service(fleet.clock, () => (isStuck ? "hangs" : "answers"));
      services.push(one);
      return { client: one, close: () => Promise.resolve() };
    };
    const first = await fleet.join();
    await fleet.send("asks", [{ n: 0 }, { n: 1 }]);
    await fleet.until("a call hangs", () => services[0]?.calls.size === 1);
    isStuck = false;
    const leavingMs = fleet.clock.now();
    await fleet.during(first.worker.stop());
    assert.ok(fleet.clock.now() - leavingMs < TIMEOUT_MS, "it waited for the call");
    assert.equal(services[0]?.aborted, 1);
    await fleet.join();
    await fleet.drained();
    assert.deepEqual(
      fleet.values(answers).map(({ n }) => n),
      [0, 1],
    );
    assert.deepEqual(await fleet.ledger("main"), { consumed: 2, emitted: 2 });
  }
});

test("a worker opens a resource once, before it joins, and closes it when it has left", async () => {
  const fleet = new Fleet([callFlow(undefined)]);
  const told: string[] = [];
  fleet.openResource = async ({ name }) => {
    told.push(`open ${name}`);
    const client = new Service(fleet.clock, () => "answers");
    return { client, close: async () => void told.push("close") };
  };
  const { worker } = await fleet.join();
  await fleet.send("asks", [{ n: 0 }]);
  await fleet.drained();
  assert.deepEqual(told, ["open service"]);
  await fleet.during(worker.stop());
  assert.deepEqual(told, ["open service", "close"]);
  fleet.openResource = () => Promise.reject(new Error("secret"));
  await assert.rejects(fleet.join(), (error: Error) => {
    assert.match(error.message, /a resource could not be opened: service: Error$/);
    return true;
  });
  assert.equal(service.name, "service");
});

/** One step behind the other, each with keys of its own to park. */
const chain = (first: (name: string) => void, second: (name: string) => void, more = parkKey()) =>
  pipeline("chain", { retry: more, state: "memory" }, ({ from }) => {
    from(docs)
      .mapAsync("first", async (d, { record }) => (first(`${record.key}${String(d.n)}`), d), bounds)
      .map("between", (d) => ({ ...d }))
      .mapAsync(
        "second",
        async (d, { record }) => (second(`${record.key}${String(d.n)}`), d),
        bounds,
      )
      .to(out);
  });

test("a key that waits at two steps comes out of both in order", async () => {
  for (const runMax of [{}, { records: 1 }]) {
    const flow = chain(
      failing({ a1: 2, a3: 1, a4: 3 }),
      failing({ a0: 3, a2: 2, b1: 1 }),
      parkKey({ runMax }),
    );
    const steps = [0, 1, 2, 3, 4, 5].flatMap((n) => [
      doc("a", n),
      doc("b", n),
      advance(milliseconds(90)),
    ]);
    const { records, deadLetters, ledger } = await simulate(flow, [...steps, crash]);
    for (const key of ["a", "b"])
      assert.deepEqual(numbersOf(records(out), key), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(deadLetters, []);
    assert.deepEqual(ledger("main"), { consumed: 12, emitted: 12 });
  }
});

test("tombstones wait with their key and go by without a call", async () => {
  const steps = [doc("a", 0), send(docs, "a", null), doc("a", 2), send(docs, "b", null)];
  const { records } = await simulate(chain(failing({ a0: 2 }), failing({})), steps);
  assert.deepEqual(numbersOf(records(out), "a"), [0, null, 2]);
  assert.deepEqual(numbersOf(records(out), "b"), [null]);
});

test("a record that is too large for a store is tried again in place, and those of its key stay behind it", async () => {
  const huge = "x".repeat(600_000);
  const steps = [doc("a", 0, huge), doc("a", 1), doc("b", 0), doc("b", 1, huge), doc("b", 2)];
  const flow = chain(failing({ a0: 2, b0: 2 }), failing({}));
  const { records, deadLetters, ledger } = await simulate(flow, steps);
  assert.deepEqual(numbersOf(records(out), "a"), [0, 1]);
  assert.deepEqual(numbersOf(records(out), "b"), [0, 1, 2]);
  assert.deepEqual(deadLetters, []);
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 5 });
});

test("a released record that fails downstream is a letter of its own, and the others of its key go on", async () => {
  const fails = failing({ a0: 1 });
  const flow: Pipeline = pipeline("flow", { state: "memory" }, ({ from }) => {
    from(docs)
      .mapAsync("ask", async (d) => (fails(`a${String(d.n)}`), d), { ...bounds, retry: parkKey() })
      .groupByKey()
      .aggregate("sum", {
        value: json<Doc>(),
        init: () => ({ n: 0, text: "" }),
        add: (sum, d) => ({ ...sum, n: sum.n + d.n }),
      })
      .toStream()
      .distinct("once", { by: (d) => d.n, within: seconds(60) })
      .map("strict", (d) => {
        if (d.n === 3) throw new Error("three");
        return d;
      })
      .to(out);
  });
  const steps = [0, 1, 2, 4].map((n) => doc("a", n));
  const { records, deadLetters, ledger } = await simulate(flow, steps);
  // 0, 1, then 1 + 2 is refused, and 1 + 4.
  assert.deepEqual(numbersOf(records(out), "a"), [0, 1, 5]);
  assert.deepEqual(
    deadLetters.map(({ step, code }) => [step, code]),
    [["strict", "MILL_TRANSFORM_THREW"]],
  );
  assert.equal(headerText(deadLetters[0]?.record.headers ?? [], "dlq.offset"), "2");
  assert.deepEqual(ledger("main"), { consumed: 4, emitted: 3, "dead-lettered": 1 });
});

test("the meter says what waits, how often and how long was called; the ledger's counters never go back", async () => {
  const fleet = new Fleet([callFlow(retry("park-key", { attempts: 3 }))]);
  let isDown = false;
  fleet.openResource = async () => ({
    client: new Service(fleet.clock, () => (isDown ? "fails" : "answers")),
    close: () => Promise.resolve(),
  });
  await fleet.join();
  const part = { pipeline: "flow", part: "main" };
  const gauge = (name: string) =>
    fleet.meter.gauges(name, { ...part, operator: "ask" }).reduce((sum, n) => sum + n, 0);
  assert.equal(fleet.meter.gauges("millrace_parked_keys").length, 2);
  isDown = true;
  await fleet.send("asks", [{ n: 0 }, { n: 1 }, { n: 2 }]);
  await fleet.until("they wait", () => gauge("millrace_parked_records") === 3);
  assert.equal(gauge("millrace_parked_keys"), 1);
  await fleet.drained();
  await fleet.clock.advance(5_000);
  assert.deepEqual([gauge("millrace_parked_keys"), gauge("millrace_parked_records")], [0, 0]);
  const ended = (end: string) =>
    fleet.meter.observations("millrace_call_seconds", { ...part, outcome: end }).length;
  assert.deepEqual([ended("failed"), ended("answered")], [3, 0]);
  assert.equal(fleet.meter.counter("millrace_call_retries_total", part), 2);
  const outcome = (name: string) =>
    fleet.meter.counter("millrace_ledger_records_total", { outcome: name });
  // Three had counted as emitted; what comes next pays for them, and the sums balance all along.
  assert.deepEqual([outcome("emitted"), outcome("dead-lettered")], [3, 0]);
  assert.equal(fleet.meter.counter("millrace_dead_letters_total"), 3);
  isDown = false;
  await fleet.send(
    "asks",
    Array.from({ length: 5 }, (_, n) => ({ n: 10 + n })),
  );
  await fleet.drained();
  assert.deepEqual([outcome("emitted"), outcome("dead-lettered")], [5, 3]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 8, emitted: 5, "dead-lettered": 3 });
});

test("parked keys are not left behind by a pipeline that has forgotten their step", async () => {
  const parked = new Fleet([callFlow(retry("park-key", { attempts: 1_000 }))]);
  let isDown = true;
  parked.openResource = async () => ({
    client: new Service(parked.clock, () => (isDown ? "fails" : "answers")),
    close: () => Promise.resolve(),
  });
  const first = await parked.join();
  await parked.send("asks", [{ n: 0 }]);
  await parked.drained();
  await parked.during(first.worker.stop());
  const [plan] = parked.plans;
  const forgetful = callFlow(retry("block")).plan();
  assert.ok(plan !== undefined);
  const log = new RecordingLog();
  const ports = { kafka: parked.kafka.port(), admin: parked.kafka.port().admin(), log };
  const [problem, ...others] = await parked.during(checkStores([forgetful], ports));
  assert.equal(others.length, 0);
  assert.match(
    problem?.message ?? "",
    /flow: 1 keys are parked at "ask", which parks none any more/,
  );
  assert.deepEqual(await parked.during(checkStores([plan], ports)), []);
  isDown = false;
  await parked.join();
  await parked.until("it is released", () => parked.values(answers).length === 1, 600_000);
  assert.deepEqual(await parked.during(checkStores([forgetful], ports)), []);
});

test("what waits for room behind a full run is not called for twice", async () => {
  const fleet = new Fleet([callFlow(retry("park-key", { runMax: { records: 2, bytes: 10_000 } }))]);
  const clients: Service[] = [];
  fleet.openResource = async () => {
    const one = new Service(fleet.clock, (key, n, call) =>
      key === "a" && n === 0 && call < 4 ? "fails" : "answers",
    );
    clients.push(one);
    return { client: one, close: () => Promise.resolve() };
  };
  await fleet.join();
  const names = ["a0", "b0", "a1", "c0", "a2", "b1", "a3", "c1"];
  await fleet.sendRecords(
    names.map((name) => ({
      ...{ topic: "asks", partition: 0, headers: [], timestamp: fleet.clock.now() },
      key: Buffer.from(name.slice(0, 1)),
      value: Buffer.from(JSON.stringify({ n: Number(name.slice(1)) })),
    })),
  );
  const waiting = (): number =>
    fleet.meter.gauges("millrace_parked_records").reduce((sum, n) => sum + n, 0);
  await fleet.until("the run is full", () => waiting() === 2);
  await fleet.clock.advance(50);
  assert.equal(waiting(), 2);
  await fleet.drained();
  await fleet.clock.advance(5_000);
  const calls = Object.fromEntries(clients[0]?.calls ?? []);
  const once = { "a/1": 1, "a/2": 1, "a/3": 1, "b/0": 1, "b/1": 1, "c/0": 1, "c/1": 1 };
  assert.deepEqual(calls, { "a/0": 4, ...once });
  assert.deepEqual(await fleet.ledger("main"), { consumed: 8, emitted: 8 });
});

test("calls are counted across workers: a crash gives nobody more attempts", async () => {
  const fleet = new Fleet([callFlow(retry("park-key", { attempts: 4 }))]);
  const clients: Service[] = [];
  fleet.openResource = async () => {
    const one = new Service(fleet.clock, () => "fails");
    clients.push(one);
    return { client: one, close: () => Promise.resolve() };
  };
  const first = await fleet.join();
  await fleet.send("asks", [{ n: 0 }]);
  await fleet.until("two calls", () => clients[0]?.calls.get("k/0") === 2);
  // Decided by then, and before the third.
  await fleet.clock.advance(200);
  fleet.kafka.crash(first.port);
  await fleet.join();
  await fleet.until("a letter", () => fleet.letters().length === 1);
  assert.deepEqual(
    clients.map(({ calls }) => calls.get("k/0")),
    [2, 2],
  );
});
