// `millrace dlq` over results of windows: named by operator and window, masked where there is personal data, sent back once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, sliding, string, topic, tumbling, type WindowOf } from "#engine";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import type { CommandResult } from "../support/command.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";

const BEGIN = Date.UTC(2025, 5, 1);

interface View {
  readonly at: number;
  readonly who: string;
}

let isMended = false;
const merge = (a: number, b: number): number => {
  if (!isMended) throw new Error("refused");
  return a + b;
};

const flowOf = (window: WindowOf, isPersonal = false) =>
  pipeline("counting", { haltWhen: "never" }, ({ from }) => {
    const views = topic("views", {
      ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
      ...(isPersonal ? { personalData: ["who"] as const } : {}),
      timestamp: (view) => view.at,
    });
    from(views)
      .groupByKey()
      .windowedBy(window)
      .aggregate("views-by-key", {
        ...{
          value: json<number>(),
          init: () => 0,
          add: (n: number) => n + 1,
          merge,
          emit: "close",
        },
      })
      .toStream("row", (views) => {
        if (!isMended && window.kind === "tumbling") throw new Error("refused");
        return views;
      })
      .to(topic("rows", { key: string, value: json<number>(), partitions: 1, owner: "tests" }));
  });
const tens = tumbling({ size: seconds(10), grace: seconds(0) });

async function refused(flow: ReturnType<typeof flowOf>): Promise<Fleet> {
  isMended = false;
  const fleet = new Fleet([flow]);
  await fleet.join();
  for (const second of [1, 2, 60]) {
    const value = Buffer.from(JSON.stringify({ at: BEGIN + second * 1_000, who: "ann" }));
    const own = { partition: 0, key: Buffer.from(second === 60 ? "z" : "k"), value };
    await fleet.sendRecords([{ topic: "views", ...own, headers: [], timestamp: BEGIN }]);
  }
  await fleet.drained();
  return fleet;
}

const dlq = (fleet: Fleet, ...argv: readonly string[]): Promise<CommandResult> =>
  fleetCommand(fleet, dlqVerb, ["dlq", ...argv]);

test("a result is shown with its operator, key, window and value, and goes back", async () => {
  const fleet = await refused(flowOf(tens));
  const [letter] = jsonOf<{ id: string; operator: string; windowStart: string }>(
    await dlq(fleet, "list", "counting", "--letters", "--json", "--class", "result"),
  );
  assert.ok(letter !== undefined);
  assert.equal(letter.operator, "views-by-key");
  assert.equal(letter.windowStart, "2025-06-01T00:00:00.000Z");
  const { out } = await dlq(fleet, "show", "counting", letter.id);
  const line = (name: string): string => out.find((one) => one.startsWith(name)) ?? "";
  assert.match(line("failed"), /result {2}MILL_TRANSFORM_THREW/);
  assert.match(line("origin"), /a result of views-by-key, task 0/);
  assert.match(line("window"), /2025-06-01T00:00:00.000Z to 2025-06-01T00:00:10.000Z/);
  assert.match(line("key "), /"k"/);
  assert.match(line("value"), /"aggregate":2/);
  const start = await dlq(fleet, "redrive", "counting", "--from", "start");
  assert.match(start.err.join("\n"), /Use --from failed-step/);
  isMended = true;
  assert.equal((await dlq(fleet, "redrive", "counting")).code, 0);
  await fleet.drained();
  assert.deepEqual(
    fleet.kafka.records("rows", { committed: true }).map(({ value }) => String(value)),
    ["2"],
  );
  const again = await dlq(fleet, "redrive", "counting");
  assert.match(again.err.join("\n"), /No open letter matches/);
});

test("its key and value are masked where the pipeline has personal data", async () => {
  const fleet = await refused(flowOf(tens, true));
  const [letter] = jsonOf<{ id: string }>(
    await dlq(fleet, "list", "counting", "--letters", "--json"),
  );
  const { out } = await dlq(fleet, "show", "counting", letter?.id ?? "");
  assert.doesNotMatch(out.join("\n"), /"k"|"aggregate":2/);
  assert.match(out.join("\n"), /window +2025-06-01T00:00:00.000Z to/);
});

test("one that could not be made at all is refused, and says why", async () => {
  const fleet = await refused(flowOf(sliding({ difference: seconds(5), grace: seconds(0) })));
  const { out, code } = await dlq(fleet, "redrive", "counting");
  assert.equal(code, 1);
  assert.match(out.join("\n"), /0 letters sent back, 1 refused/);
});
