// The rows of a case by the engine itself: a pipeline over a topic of one partition, in virtual time, with crashes and
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
  type WindowOf,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { Chance } from "../support/chance.ts";
import type { Case, Fed, Name } from "./cases.ts";
import type { Subject } from "./compare.ts";
import { windowRow } from "./reference/rows.ts";

/** The operators that are built; the others are those of the reference. */
export const built: ReadonlySet<Name> = new Set(["tumbling", "hopping", "sliding", "session"]);

interface Row {
  readonly start: number;
  readonly end: number;
  readonly values: readonly string[];
}
const own = { partitions: 1, owner: "tests" };
const left = topic("left", { key: string, value: json<Fed>(), ...own });
const rows = topic("rows", { key: string, value: json<Row>(), ...own });

export const byEngine: Subject = async (one) => {
  const flow = pipeline("parity", ({ from }) => {
    from(left)
      .groupByKey()
      .windowedBy(windowOf(one))
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
  const { records } = await simulate(flow, stepsOf(one));
  return records(rows).map(({ key, value, timestamp }) =>
    windowRow({ key, t: timestamp, ...(value as Row) }),
  );
};

function windowOf({ operator, ourGrace }: Case): WindowOf {
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
    case "join":
      throw new Error(`${operator.kind} is not built`);
  }
}

/** The same case is disturbed in the same way. */
function stepsOf({ records }: Case): SimulatedStep[] {
  const chance = new Chance(records.reduce((sum, { t }) => sum + t, records.length));
  return records.flatMap((record) => {
    const sent = send(left, record.key, record, { at: record.t });
    if (!chance.is(0.15)) return [sent];
    return [sent, chance.is(0.5) ? crash : rebalance];
  });
}
