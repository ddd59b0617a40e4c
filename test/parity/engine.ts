// The rows of a case by the engine itself: a pipeline over topics of one partition, in virtual time, with crashes and
// rebalances between the records.
import {
  hopping,
  json,
  milliseconds,
  pipeline,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Topic,
  type Pipeline,
  type WindowOf,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { Chance } from "../support/chance.ts";
import type { Case, Fed, Join, Operator } from "./cases.ts";
import type { Subject } from "./compare.ts";
import { pairRow, windowRow } from "./reference/rows.ts";

interface Row {
  readonly start: number;
  readonly end: number;
  readonly values: readonly string[];
}
const own = { partitions: 1, owner: "tests" };
const [left, right] = (["left", "right"] as const).map((name) =>
  topic(name, { key: string, value: json<Fed>(), ...own }),
) as [Topic<string, Fed>, Topic<string, Fed>];
const pairs = topic("pairs", { key: string, value: json<string>(), ...own });
const rows = topic("rows", { key: string, value: json<Row>(), ...own });

export const byEngine: Subject = async (one) => {
  const { operator } = one;
  if (operator.kind === "join") {
    const { records } = await simulate(joining(operator, one.ourGrace), stepsOf(one));
    return records(pairs).map(({ key, value, timestamp }) => pairRow(key, timestamp, value ?? ""));
  }
  const { records } = await simulate(windowing(windowOf(operator, one.ourGrace)), stepsOf(one));
  return records(rows).map(({ key, value, timestamp }) =>
    windowRow({ key, t: timestamp, ...(value as Row) }),
  );
};

const joining = ({ type, before, after }: Join, grace: number): Pipeline =>
  pipeline("parity", ({ from }) => {
    const [ours, theirs] = [from(left), from(right)];
    const span = {
      before: milliseconds(before),
      after: milliseconds(after),
      grace: milliseconds(grace),
    };
    const text = (a: Fed | null, b: Fed | null): string => `${a?.value ?? "-"}&${b?.value ?? "-"}`;
    const method = ({ inner: "join", left: "leftJoin", outer: "outerJoin" } as const)[type];
    ours[method]("join", theirs, text, span).to(pairs);
  });

const windowing = (window: WindowOf): Pipeline =>
  pipeline("parity", ({ from }) => {
    from(left)
      .groupByKey()
      .windowedBy(window)
      .aggregate("values", {
        value: json<readonly string[]>(),
        init: () => [],
        add: (values, { value }) => [...values, value],
        merge: (a, b) => [...a, ...b],
        emit: "close",
      })
      .toStream("row", (values, { start, end }) => ({
        ...{ start: Number(start), end: Number(end), values },
      }))
      .to(rows);
  });

function windowOf(operator: Exclude<Operator, Join>, ourGrace: number): WindowOf {
  const grace = milliseconds(ourGrace);
  switch (operator.kind) {
    case "tumbling":
      return tumbling({ size: milliseconds(operator.size), grace });
    case "hopping": {
      const [size, advance] = [milliseconds(operator.size), milliseconds(operator.advance)];
      return hopping({ size, advance, grace });
    }
    case "sliding":
      return sliding({ difference: milliseconds(operator.difference), grace });
    case "session":
      return session({ gap: milliseconds(operator.gap), grace });
  }
}

/** The same case is disturbed in the same way. */
function stepsOf({ records }: Case): SimulatedStep[] {
  const chance = new Chance(records.reduce((sum, { t }) => sum + t, records.length));
  return records.flatMap((record) => {
    const to = record.topic === "left" ? left : right;
    const sent = send(to, record.key, record, { at: record.t });
    if (!chance.is(0.15)) return [sent];
    return [sent, chance.is(0.5) ? crash : rebalance];
  });
}
