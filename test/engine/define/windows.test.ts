// Windows as they are declared: what cannot be one is refused, with the reason.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  milliseconds,
  minutes,
  pipeline,
  string,
  topic,
  tumbling,
  type Stream,
  type WindowOf,
} from "#engine";

const grace = minutes(1);
const size = minutes(5);
const wrong = (value: unknown): never => value as never;

const refusals: readonly (readonly [what: string, make: () => WindowOf, because: RegExp])[] = [
  ["a size of 0", () => tumbling({ size: minutes(0), grace }), /size must be above 0/],
  ["no grace", () => tumbling(wrong({ size })), /needs grace, a whole number of ms/],
  ["a bare number", () => tumbling({ size: wrong(300_000), grace }), /needs size/],
  ["half a ms", () => tumbling({ size: milliseconds(0.5), grace }), /needs size, a whole number/],
  [
    "an advance of 0",
    () => hopping({ size, advance: minutes(0), grace }),
    /advance must be above 0/,
  ],
  ["gaps", () => hopping({ size, advance: minutes(6), grace }), /at most its size/],
  ["no advance", () => hopping(wrong({ size, grace })), /needs advance/],
  ["no time zone", () => calendar(wrong({ unit: "day", grace })), /needs timeZone/],
  [
    "a zone that is none",
    () => calendar({ unit: "day", timeZone: "Europe/Nowhere", grace }),
    /needs timeZone/,
  ],
  [
    "another unit",
    () => calendar({ unit: wrong("quarter"), timeZone: "UTC", grace }),
    /unit is one of hour, day, week, month/,
  ],
  [
    "another weekday",
    () => calendar({ unit: "week", timeZone: "UTC", grace, weekStart: wrong("Monday") }),
    /weekStart is one of sunday, monday/,
  ],
  [
    "no grace of a calendar",
    () => calendar(wrong({ unit: "day", timeZone: "UTC" })),
    /needs grace/,
  ],
];
for (const [what, make, because] of refusals)
  test(`a window with ${what} is refused`, () => {
    assert.throws(make, (error: Error & { code?: string }) => {
      assert.equal(error.code, "MILL_BUILD_OPTION");
      assert.match(error.message, because);
      return true;
    });
  });

test("a week begins on Monday where nothing else is said", () => {
  assert.equal(calendar({ unit: "week", timeZone: "UTC", grace }).weekStart, 1);
  const sunday = calendar({ unit: "week", timeZone: "UTC", grace, weekStart: "sunday" });
  assert.equal(sunday.weekStart, 0);
});

const views = topic("views", { key: string, value: json<number>(), owner: "tests" });
const out = topic("out", { key: string, value: json<number>(), owner: "tests" });
for (const [what, build, because] of [
  [
    "of a window",
    (stream: Stream<string, number>) =>
      stream
        .groupByKey()
        .windowedBy(tumbling({ size, grace }))
        .count("n", { emit: wrong("closed") })
        .toStream("row", (n) => n),
    /"n": expected emit: "update" or "checkpoint" or "close"/,
  ],
  [
    "of an aggregate",
    (stream: Stream<string, number>) =>
      stream
        .groupByKey()
        .count("n", { emit: wrong("close") })
        .toStream(),
    /"n": expected emit: "update" or "checkpoint"/,
  ],
] as const)
  test(`emission: a word ${what} that is none is refused when the pipeline is built`, () => {
    const flow = pipeline("flow", ({ from }) => {
      build(from(views)).to(out);
    });
    assert.throws(
      () => flow.plan(),
      (error: unknown) => {
        assert.match(JSON.stringify((error as { problems?: unknown }).problems), /MILL_BUILD/);
        assert.match(String((error as { problems: Error[] }).problems[0]?.message), because);
        return true;
      },
    );
  });
