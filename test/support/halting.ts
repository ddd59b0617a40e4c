// Pipelines that too many dead letters halt: records that are good or bad, and where a fleet stops.
import assert from "node:assert/strict";
import {
  avro,
  json,
  percent,
  pipeline,
  postgresTable,
  records,
  string,
  topic,
  type Pipeline,
  type PipelineOptions,
  type Topic,
} from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import { gateNote } from "../../src/engine/notes/gate-note.ts";
import { Fleet } from "./fleet.ts";
import { fleetCommand } from "./fleet-command.ts";
import { emptied, gateOf } from "./gating.ts";
import { things, type Thing } from "./plans.ts";
import { noted } from "./stopping.ts";

export const source = things("source", 2);
export const target = things("target", 2);
export const totals: Topic<string, number> = topic("totals", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});
export const table = postgresTable<Thing>("kept", {
  row: avro<Thing>({
    type: "record",
    name: "Kept",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

export const rule = { otherwise: "dead-letter" } as const;
export const isGood = ({ n }: Thing): boolean => n > 0;
/** Said by the pipeline, and so exact at its edges whatever the time. */
export const exact: PipelineOptions = {
  haltWhen: { deadLetters: { above: percent(5), per: records(500) } },
};
export const flows = {
  line: (options: PipelineOptions = exact) =>
    pipeline("line", options, ({ from }) => from(source).expect("good", isGood, rule).to(target)),
  sink: (options: PipelineOptions = exact) =>
    pipeline("sink", options, ({ from }) => {
      from(source).expect("good", isGood, rule).upsertInto(table);
    }),
};
/** A total that falls cannot be told. */
export const falling = (options: PipelineOptions = exact): Pipeline =>
  pipeline("falling", options, ({ from }) => {
    from(source)
      .groupByKey()
      .sum("total", (t) => t.n)
      .toStream()
      .expect("rises", (total) => total > 0, rule)
      .to(totals);
  });

/** Good records but where `bad` says so, each of a key of its own; positions count from 1. */
export const series = (count: number, bad: (at: number) => boolean): Thing[] =>
  Array.from({ length: count }, (_, i) => ({ id: `k${String(i)}`, n: bad(i + 1) ? -1 : i + 1 }));

export const bads = (count: number): Thing[] => series(count, () => true);
export const goods = (count: number): Thing[] => series(count, () => false);

export const consumedOf = async (fleet: Fleet): Promise<number> =>
  (await fleet.progress()).reduce((sum, { ledger }) => sum + (ledger?.consumed ?? 0), 0);

/** Until the pipeline is halted and nobody is a member any more. */
export async function halted(fleet: Fleet): Promise<void> {
  await fleet.until("the gate is shut", () => gateNote(noted(fleet)) !== null);
  await emptied(fleet);
}

export const resume = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, resumeVerb, ["resume", fleet.plans[0]?.pipeline ?? "", ...argv]);

export interface Case {
  readonly what: string;
  readonly records: readonly Thing[];
  /** How many are consumed; all when the pipeline goes on. */
  readonly upTo: number | null;
}

export async function checkHalt(
  use: Pipeline,
  given: readonly Thing[],
  upTo: number | null,
): Promise<void> {
  const fleet = new Fleet([use]);
  await fleet.join();
  await fleet.send(source.name, use.name === "falling" ? keyed(given) : given);
  if (upTo === null) {
    await fleet.drained();
    assert.equal(await gateOf(fleet), null);
    assert.equal(await consumedOf(fleet), given.length);
  } else {
    await halted(fleet);
    assert.equal(await consumedOf(fleet), upTo);
    const progress = await fleet.progress();
    assert.equal(progress.find(({ partition }) => partition === 0)?.nextOffset, BigInt(upTo));
  }
  const letters = given.slice(0, upTo ?? given.length).filter((t) => !isGood(t));
  assert.equal(fleet.letters().length, letters.length);
}

/** One key for all, as its total must never fall: what is bad takes away all there is. */
export const keyed = (given: readonly Thing[]): Thing[] =>
  given.map((t) => ({ ...t, n: isGood(t) ? 1 : -1e9 }));
