// Windows and stream joins directly on one source topic, beside Kafka Streams itself. Every difference has a rule of time.md.
import assert from "node:assert/strict";
import { before, test, type TestContext } from "node:test";
import { type Case, type Disorder, type Name, names, titleOf } from "./cases.ts";
import { byReference, compared, reference, rulesBetween, type Subject } from "./compare.ts";
import { byEngine } from "./engine.ts";
import { casesOf, type Made } from "./generate.ts";
import { askKafkaStreams } from "./kafka-streams.ts";
import { type Rule, rules } from "./reference/rows.ts";
import { smallest } from "./smallest.ts";

const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? 20_261_130);
/** Of each operator. Many more, with a seed of their own, are in test/long/parity.ts. */
const EACH = Number(process.env["MILLRACE_PARITY_CASES"] ?? 100);
assert.ok(EACH >= 100, "fewer cases do not show a millisecond too many");

const made = casesOf(SEED, EACH);
const ruleNames = Object.keys(rules) as Rule[];
let answers: readonly (readonly string[])[] = [];
let answersOfSmallest: typeof answers = [];
before(async () => {
  const cases = [...ruleNames.map((rule) => smallest[rule]), ...made.map(({ one }) => one)];
  const all = await askKafkaStreams(cases);
  answersOfSmallest = all.slice(0, ruleNames.length);
  answers = all.slice(ruleNames.length);
});

interface Chosen {
  readonly cases: readonly Case[];
  readonly theirs: readonly (readonly string[])[];
}
function chosen(isMeant: (of: Made) => boolean): Chosen {
  const places = made.flatMap((one, i) => (isMeant(one) ? [i] : []));
  return {
    cases: places.map((i) => (made[i] as Made).one),
    theirs: places.map((i) => answers[i] ?? []),
  };
}
const of = (name: Name, disorder: Disorder): Chosen =>
  chosen((one) => titleOf(one.one) === name && one.disorder === disorder);

/** Where no record is older than the grace, time.md promises the same windows; a row's time and a join's end remain. */
const remaining: Readonly<Record<Name, readonly Rule[]>> = {
  tumbling: ["row time"],
  hopping: ["row time"],
  sliding: ["row time"],
  session: [],
  inner: ["join kept"],
  left: ["join kept", "join unmatched"],
  outer: ["join kept", "join unmatched"],
};

for (const name of names) {
  test(`${name}: records within grace give Kafka Streams' rows`, async (t) => {
    const { cases, theirs } = of(name, "within-grace");
    const result = await compared(cases, theirs, byEngine);
    note(t, cases.length, result);
    assert.equal(result.late, 0);
    assert.deepEqual(result.unexplained, []);
    const others = [...result.assigned.keys()].filter((rule) => !remaining[name].includes(rule));
    assert.deepEqual(others, []);
    assert.ok(result.rows > cases.length, "too few rows to compare");
  });

  test(`${name}: with late records every difference has its rule`, async (t) => {
    const { cases, theirs } = of(name, "late");
    const result = await compared(cases, theirs, byEngine);
    note(t, cases.length, result);
    assert.equal(result.late, cases.length);
    assert.deepEqual(result.unexplained, []);
  });
}

function note(t: TestContext, cases: number, result: Awaited<ReturnType<typeof compared>>): void {
  const { same, rows, assigned } = result;
  t.diagnostic(
    `seed ${String(SEED)}: ${String(same)} of ${String(cases)} cases equal, ${String(rows)} rows`,
  );
  for (const [rule, n] of assigned) t.diagnostic(`${String(n)}: ${rule}. ${rules[rule]}`);
}

test("each rule in which the two differ explains its smallest case, and only it does", () => {
  const others: Partial<Record<Rule, Rule>> = { "sliding windows": "row time" };
  for (const [i, rule] of ruleNames.entries()) {
    const found = rulesBetween(smallest[rule], answersOfSmallest[i] ?? []) ?? [];
    assert.deepEqual(
      found.filter((one) => one !== others[rule]),
      [rule],
    );
  }
});

const wrong: Readonly<Record<string, Subject>> = {
  "closes one millisecond too late": (one) => byReference({ ...one, ourGrace: one.ourGrace + 1 }),
  "drops records one millisecond too early": (one) =>
    byReference({ ...one, ourGrace: Math.max(0, one.ourGrace - 1) }),
  "loses a row": async (one) => (await byReference(one)).slice(1),
  "says a row twice": async (one) => {
    const rows = await byReference(one);
    return [...rows, ...rows.slice(0, 1)];
  },
};
for (const [what, subject] of Object.entries(wrong))
  test(`an operator that ${what} fails, each of them`, async () => {
    for (const name of names) {
      const { cases, theirs } = of(name, "late");
      const { unexplained } = await compared(cases, theirs, subject);
      assert.ok(unexplained.length > 0, name);
    }
  });

test("an operator with one of Kafka Streams' own rules fails, each of them", async () => {
  for (const [i, rule] of ruleNames.entries()) {
    const subject: Subject = (one) => reference(one, new Set([rule])).rows;
    const { unexplained } = await compared([smallest[rule]], [answersOfSmallest[i] ?? []], subject);
    assert.equal(unexplained.length, 1, rule);
  }
});

test("a row of Kafka Streams that no rule explains fails", async () => {
  const { cases, theirs } = of("tumbling", "late");
  const { unexplained } = await compared(
    cases,
    theirs.map((rows) => rows.slice(1)),
    byReference,
  );
  assert.ok(unexplained.length > 0);
});

test("with its default retention Kafka Streams loses closed windows where time moves by more than size and grace", async () => {
  const times = [6_000_000, 6_200_000, 6_400_000, 6_600_000];
  const one: Case = {
    operator: { kind: "tumbling", size: 60_000 },
    grace: 30_000,
    ourGrace: 30_000,
    retention: null,
    onDisk: true,
    records: times.map((t) => ({ topic: "left", key: "k", t, value: String(t) })),
  };
  const [byDefault, kept] = await askKafkaStreams([one, { ...one, retention: 86_400_000 }]);
  assert.deepEqual(byDefault, []);
  assert.deepEqual(kept, reference(one, new Set(["row time"])).rows);
  assert.equal(kept?.length, 3);
});
