// Calls that fail, in virtual time: order per key, each record once, other keys undisturbed, whatever befalls the worker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, seconds, type RetryOptions } from "#engine";
import { advance, crash, double, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { headerText } from "../../src/engine/core/record.ts";
import {
  answers,
  asks,
  callFlow,
  NotFound,
  retry,
  service,
  Service,
  TIMEOUT_MS,
  type Answer,
  type Ask,
  type Behaviour,
} from "../support/call-flow.ts";

type Script = (key: string, n: number, call: number) => Behaviour;

interface Played {
  readonly seed?: number;
  readonly policy?: RetryOptions;
  readonly script: Script;
  readonly state?: "redis" | "memory";
}

/** Numbers that came out, by key, in order; when; and the letters' numbers, by key, in order. */
async function play(steps: readonly SimulatedStep[], played: Played) {
  const { seed = 1, policy, script, state } = played;
  const services: Service[] = [];
  // Every worker opens its own, and calls are counted in all.
  const made = new Map<string, number>();
  const result = await simulate(callFlow(policy, state), steps, {
    seed,
    resources: [
      double(service, ({ clock }) => {
        const one = new Service(clock, (key, n) => {
          const call = (made.get(`${key}/${String(n)}`) ?? 0) + 1;
          made.set(`${key}/${String(n)}`, call);
          return script(key, n, call);
        });
        services.push(one);
        return one;
      }),
    ],
  });
  const came = result.records(answers).map(({ key, value }) => ({ key, ...(value as Answer) }));
  const out: Record<string, number[]> = {};
  const at: Record<string, number[]> = {};
  for (const { key, n, answeredMs } of came) {
    (out[key] ??= []).push(n);
    (at[key] ??= []).push(answeredMs);
  }
  const dead: Record<string, number[]> = {};
  for (const { record } of result.deadLetters)
    (dead[String(record.key)] ??= []).push((JSON.parse(String(record.value)) as Ask).n);
  return { ...result, out, at, dead, made, services };
}

const ask = (key: string, n: number): SimulatedStep => send(asks, key, { n });
const KEYS = ["a", "b", "c", "d", "e", "f"] as const;
/** One record a key in each round, further apart than a call takes. */
const rounds = (from: number, to: number): SimulatedStep[] =>
  Array.from({ length: to - from }, (_, i) => [
    ...KEYS.map((key) => ask(key, from + i)),
    advance(milliseconds(150)),
  ]).flat();

const others = (at: Readonly<Record<string, number[]>>): number[][] =>
  KEYS.filter((key) => key !== "c").map((key) => at[key] ?? []);
const numbers = (to: number): number[] => Array.from({ length: to }, (_, n) => n);

test("a failing key waits with its later records, and goes on in order when it can", async () => {
  const { out, deadLetters, ledger, made } = await play(rounds(0, 8), {
    policy: retry("park-key"),
    script: (key, n, call) => (key === "c" && n === 1 && call < 4 ? "fails" : "answers"),
  });
  for (const key of KEYS) assert.deepEqual(out[key], numbers(8), key);
  assert.deepEqual(deadLetters, []);
  assert.deepEqual(ledger("main"), { consumed: 48, emitted: 48 });
  assert.equal(made.get("c/1"), 4);
});

test("while one key fails, the others are done at the very moments at which they would be without it", async () => {
  const fails: Script = (key, n, call) =>
    key === "c" && n === 1 && call < 4 ? "fails" : "answers";
  const policy = retry("park-key");
  // No record waits behind one of another key: what a batch saves by a call that is not made would show.
  const steps = rounds(0, 20).flatMap((step) => [step, advance(milliseconds(30))]);
  const [calm, parked] = [
    await play(steps, { policy, script: () => "answers" }),
    await play(steps, { policy, script: fails }),
  ];
  assert.deepEqual(others(parked.at), others(calm.at));
  assert.notDeepEqual(parked.at["c"], calm.at["c"]);
  // Blocking, they wait: else the comparison would prove nothing.
  const blocked = await play(steps, { policy: retry("block"), script: fails });
  assert.notDeepEqual(others(blocked.at), others(calm.at));
});

test("in bursts too, with calls that hang, no other key is done later than it would be", async () => {
  for (const behaviour of ["fails", "hangs"] as const) {
    const script: Script = (key, n, call) =>
      key === "c" && n === 1 && call < 4 ? behaviour : "answers";
    const policy = retry("park-key");
    // What hangs for the first time holds its batch up for as long as a call may take, once.
    const once = behaviour === "hangs" ? TIMEOUT_MS : 0;
    const [calm, parked] = [
      others((await play(rounds(0, 30), { policy, script: () => "answers" })).at),
      others((await play(rounds(0, 30), { policy, script })).at),
    ];
    const late = parked.flatMap((at, i) => at.map((ms, n) => ms - (calm[i]?.[n] ?? 0)));
    assert.ok(
      late.every((ms) => ms <= once),
      `${behaviour}: ${String(Math.max(...late))} ms`,
    );
    assert.ok(late.slice(-10).every((ms) => ms <= 0));
  }
});

const SEEDS = 40;

/** Records in which a step of the world may come after any. */
function drawn(seed: number): { steps: SimulatedStep[]; sent: Record<string, number[]> } {
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T;
  const steps: SimulatedStep[] = [];
  const sent: Record<string, number[]> = {};
  for (let n = 0; n < 80; n++) {
    const key = pick(KEYS);
    (sent[key] ??= []).push(n);
    steps.push(ask(key, n));
    const luck = random.next();
    if (luck < 0.05) steps.push(crash);
    else if (luck < 0.1) steps.push(rebalance);
    else if (luck < 0.3) steps.push(advance(milliseconds(Math.floor(random.next() ** 2 * 3_000))));
  }
  return { steps, sent };
}

function behaviourOf(luck: number): Behaviour {
  if (luck < 0.7) return "answers";
  return luck < 0.93 ? "fails" : luck < 0.96 ? "not found" : "hangs";
}

type ByKey = Readonly<Record<string, readonly number[]>>;

/** Each of a key once, either here or there, and in the order in which they were sent. */
function assertInOrder(
  key: string,
  { sent, out, dead }: { readonly sent: ByKey; readonly out: ByKey; readonly dead: ByKey },
  name: string,
): void {
  const [all, came, died] = [sent[key] ?? [], out[key] ?? [], dead[key] ?? []];
  const without = (these: readonly number[]) => all.filter((n) => !these.includes(n));
  assert.deepEqual(came, without(died), `${name}, ${key}`);
  assert.deepEqual(died, without(came), `${name}, ${key}`);
}

for (const mode of ["park-key", "block"] as const)
  test(`${mode}: whatever fails and whoever dies, each record ends once, and those of a key in order`, async (t) => {
    t.diagnostic(`seeds 1 to ${String(SEEDS)}`);
    const seen = { failed: 0, letters: 0, retried: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { steps, sent } = drawn(seed);
      const random = seededRandom(seed + 10_000);
      const script: Script = () => {
        const behaviour = behaviourOf(random.next());
        if (behaviour !== "answers") seen.failed++;
        return behaviour;
      };
      const small = seed % 3 === 0 ? { runMax: { records: 2, bytes: 10_000 } } : {};
      const policy = retry(mode, { attempts: 2 + (seed % 3), ...small });
      const { out, dead, ledger, services, made } = await play(steps, {
        ...{ seed, policy, script },
        state: seed % 2 === 0 ? "redis" : "memory",
      });
      const name = `seed ${String(seed)}`;
      for (const key of KEYS) assertInOrder(key, { sent, out, dead }, name);
      const letters = Object.values(dead).flat().length;
      const { consumed, emitted = 0, "dead-lettered": given = 0 } = ledger("main");
      assert.deepEqual([consumed, emitted, given], [80, 80 - letters, letters], name);
      for (const { mostOfAKey } of services) assert.ok(mostOfAKey <= 1, `${name}: a key twice`);
      seen.letters += letters;
      seen.retried += [...made.values()].filter((calls) => calls > 1).length;
    }
    t.diagnostic(JSON.stringify(seen));
    assert.ok(seen.failed > 500 && seen.letters > 100 && seen.retried > 400, "the faults fired");
  });

test("a run whose head is given up becomes letters in order, which say what happened to each", async () => {
  const { dead, deadLetters, out, ledger } = await play(rounds(0, 6), {
    policy: retry("park-key", { attempts: 3 }),
    script: (key, n) => (key === "c" && n === 1 ? "fails" : "answers"),
  });
  const [died = [], came = []] = [dead["c"], out["c"]];
  assert.equal(died[0], 1);
  assert.ok(died.length > 1);
  assert.deepEqual([came[0], ...died, ...came.slice(1)], numbers(6));
  const say = ({ record: { headers } }: (typeof deadLetters)[number], name: string) =>
    headerText(headers, `dlq.${name}`) ?? "";
  const [head, ...behind] = deadLetters;
  assert.ok(head !== undefined);
  assert.deepEqual(
    [head.class, head.step, head.code, say(head, "attempt")],
    ["transform", "ask", "MILL_CALL_FAILED", "3"],
  );
  assert.ok(say(head, "first-time") < say(head, "last-time"));
  for (const letter of behind) {
    assert.equal(letter.code, "MILL_CALL_BEHIND");
    assert.equal(say(letter, "attempt"), "0");
  }
  assert.doesNotMatch(say(head, "message"), /no answer for/);
  const letters = deadLetters.length;
  assert.deepEqual(ledger("main"), {
    consumed: 36,
    emitted: 36 - letters,
    "dead-lettered": letters,
  });
});

test("what is hopeless is a letter at once, and does not wait", async () => {
  const { made, dead, out } = await play(rounds(0, 3), {
    policy: retry("park-key"),
    script: (key, n) => (key === "b" && n === 1 ? "not found" : "answers"),
  });
  assert.equal(made.get("b/1"), 1);
  assert.deepEqual(dead, { b: [1] });
  assert.deepEqual(out["b"], [0, 2]);
  assert.equal(new NotFound().name, "Error");
});

test("no call comes later than `within` after the first failure", async () => {
  const times: number[] = [];
  const policy = retry("park-key", { attempts: 1_000, within: seconds(3) });
  const steps = [ask("a", 0)];
  const { deadLetters } = await play(steps, {
    policy,
    script: (_key, _n, call) => {
      times.push(call);
      return "fails";
    },
  });
  // 0, 150, 450, 1,050, 2,250 ms after the first failure; the next would be at 4,650 ms and more.
  assert.equal(times.length, 5);
  assert.equal(deadLetters[0]?.code, "MILL_CALL_FAILED");
});

test("keys that are parked when the worker dies are called for by the next one, when they are due", async () => {
  const steps = [...rounds(0, 3), advance(seconds(2)), crash, advance(seconds(60))];
  const policy = retry("park-key", {
    attempts: 3,
    backoff: { first: seconds(30), max: seconds(30) },
  });
  const { out, made, services, deadLetters } = await play(steps, {
    policy,
    script: (key, n, call) => (key === "d" && n === 0 && call === 1 ? "fails" : "answers"),
  });
  assert.equal(services.length, 2);
  assert.equal(services[0]?.calls.get("d/0"), 1);
  assert.equal(services[1]?.calls.get("d/0"), 1);
  assert.equal(made.get("d/1"), 1);
  assert.deepEqual(out["d"], numbers(3));
  assert.deepEqual(deadLetters, []);
});

test("a run that is full holds the task up, and nothing is lost", async () => {
  const policy = retry("park-key", { runMax: { records: 2, bytes: 1_000_000 } });
  const steps = [...numbers(10).map((n) => ask("a", n)), ask("b", 0), ask("e", 0)];
  const { out, deadLetters, ledger } = await play(steps, {
    policy,
    script: (key, n, call) => (key === "a" && n === 0 && call < 4 ? "fails" : "answers"),
  });
  assert.deepEqual(out["a"], numbers(10));
  assert.deepEqual([out["b"], out["e"]], [[0], [0]]);
  assert.deepEqual(deadLetters, []);
  assert.deepEqual(ledger("main"), { consumed: 12, emitted: 12 });
});
