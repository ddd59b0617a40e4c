// Makes what a run needs: topics, schemas, tables, copies of its inputs, and where each task begins. Each step is recorded
// before it is done, and the whole may be done again: what an attempt left behind is passed over, never read.
import { ConfigErrors } from "../../core/errors.ts";
import type { StartOffset } from "../../core/kafka.ts";
import { BROKER_DEFAULTS } from "../../core/own-topics.ts";
import type { Plan } from "../../core/plan.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { addressOf, type TopicName } from "../../core/record.ts";
import { placesOf } from "../../operate/places.ts";
import { putStarts } from "../../operate/reset.ts";
import { desiredTopics } from "../../provision/desired-topics.ts";
import { applyTables, type DeclaredTable } from "../../provision/tables/tables.ts";
import { applyTopics } from "../../provision/topics.ts";
import { topicsOfRun, shadowOf, stagingTopic } from "../plan/shadow.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import { noCounts, type RangePlace, type RunRow } from "../words/run.ts";

/** The plan of a run that was written down. */
export const shadowOfRun = (plan: Plan, { run, target, range, options }: RunRow): Plan =>
  shadowOf(plan, {
    run,
    target,
    staged: options.staged,
    pins: new Map(Object.entries(range.pins)),
  });

/** Fills the copies that a run reads; it may add to topics of the run's own. */
export type Fill = (shadow: Plan) => Promise<void>;

/** Returns the run, which is running then. */
export async function prepare(
  plan: Plan,
  row: RunRow,
  { ports, fill }: { readonly ports: ReprocessPorts; readonly fill: Fill | null },
): Promise<RunRow> {
  const { runs } = ports;
  const shadow = shadowOfRun(plan, row);
  const staging = { state: "staging", step: "topics" } as const;
  const begun = await runs.update(row, staging, ["planned", "staging"]);
  if (begun === null) return { ...row, state: "cancelled" };
  const own = new Set(topicsOfRun(plan, shadow));
  await makeTopics(shadow, own, ports);
  await runs.update(row, { step: "tables" });
  await makeTables(shadow, ports);
  await runs.update(row, { step: "staged" });
  const before = await endsOf(shadow, own, ports);
  await fill?.(shadow);
  const after = await endsOf(shadow, own, ports);
  const staged = stagedPlaces(shadow, row, before, after);
  const range = { ...row.range, places: [...unstaged(row), ...staged] };
  const total = range.places.reduce((sum, { from, to }) => sum + Number(to - from), 0);
  const counts = { ...noCounts, total };
  await runs.update(row, { step: "starts", range, counts });
  await start(shadow, range.places, before, ports);
  const { rate: rateLimit } = row.options;
  const running = await runs.update(row, { state: "running", step: "range", rateLimit }, [
    "staging",
  ]);
  return running ?? { ...row, range, counts, state: "cancelled" };
}

async function makeTopics(
  shadow: Plan,
  own: ReadonlySet<TopicName>,
  { admin, registry, topicDefaults: defaults = BROKER_DEFAULTS }: ReprocessPorts,
): Promise<void> {
  const desired = desiredTopics([shadow], { defaults }).filter(({ spec }) => own.has(spec.topic));
  await applyTopics(desired, admin, registry);
}

async function makeTables(shadow: Plan, { pool, clock }: ReprocessPorts): Promise<void> {
  const own = shadow.tables.filter(({ corrects }) => corrects === undefined);
  const declared = own.map(({ declaration }) => declaration as DeclaredTable);
  if (declared.length > 0) await applyTables(declared, pool, clock);
}

/** The present ends of the run's own topics: records before them were left by an earlier attempt. */
async function endsOf(
  shadow: Plan,
  own: ReadonlySet<TopicName>,
  { admin }: ReprocessPorts,
): Promise<readonly StartOffset[]> {
  const names = shadow.parts.flatMap(({ sources }) => sources.map(({ name }) => name));
  const marks = await watermarksOf(
    admin,
    names.filter((name) => own.has(name)),
  );
  return [...marks.values()].map(({ high: nextOffset, ...at }) => ({ ...at, nextOffset }));
}

const stagedNames = ({ run, options }: RunRow): readonly TopicName[] =>
  options.staged.map((topic) => stagingTopic(topic, run));

const unstaged = (row: RunRow): readonly RangePlace[] =>
  row.range.places.filter(({ topic }) => !stagedNames(row).includes(topic));

function stagedPlaces(
  shadow: Plan,
  row: RunRow,
  before: readonly StartOffset[],
  after: readonly StartOffset[],
): readonly RangePlace[] {
  const names = stagedNames(row);
  const startOf = (at: StartOffset): bigint =>
    before.find((one) => addressOf(one) === addressOf(at))?.nextOffset ?? 0n;
  return shadow.parts.flatMap((part) =>
    after
      .filter(
        ({ topic }) => names.includes(topic) && part.sources.some(({ name }) => name === topic),
      )
      .map((end) => ({
        part: part.name,
        topic: end.topic,
        partition: end.partition,
        from: startOf(end),
        to: end.nextOffset,
      })),
  );
}

/** As a reset would: progress of groups, progress rows of tables, and notes of where each task began. */
async function start(
  shadow: Plan,
  places: readonly RangePlace[],
  before: readonly StartOffset[],
  ports: ReprocessPorts,
): Promise<void> {
  const found = await placesOf(shadow, shadow.parts, ports);
  const moves = found.map((place) => {
    const bounded = places.find(
      (at) => at.part === place.part.name && addressOf(at) === addressOf(place),
    );
    const own = before.find((at) => addressOf(at) === addressOf(place));
    const to = bounded?.from ?? own?.nextOffset ?? place.low;
    const isFirst = place.part.sources.some(
      ({ name, loadFirst }) => name === place.topic && loadFirst === true,
    );
    return { place, to, ...(isFirst && bounded !== undefined ? { loadTo: bounded.to } : {}) };
  });
  await putStarts(shadow, moves, ports);
}

/** Several problems of a start as one text, for the run's row. */
export const textOf = (error: unknown): string =>
  error instanceof ConfigErrors
    ? error.problems.map(({ code, message }) => `${code} ${message}`).join("; ")
    : error instanceof Error
      ? error.message
      : String(error);
