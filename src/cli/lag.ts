// `millrace lag`: records and seconds behind, for each part, topic and partition of every pipeline.
import { withAdmin } from "../data/with-admin.ts";
import { lagsOf, type PartitionLag } from "../data/lag.ts";
import { timeWaitsOf, type PlanWait } from "../data/time-waits.ts";
import type { AdminPort, KafkaPort } from "../engine/core/kafka.ts";
import type { Part, Plan } from "../engine/core/plan.ts";
import { addressOf } from "../engine/core/record.ts";
import { decodeMetadata } from "../engine/core/task-inputs.ts";
import { gateText, readGate } from "../engine/notes/gate-note.ts";
import { LagBook } from "../engine/observe/lag/append-times.ts";
import { shownWait } from "../engine/observe/time-waits.ts";
import { planNamed } from "../engine/operate/choice.ts";
import { connected, type Connect, type Connection, type PlansOf } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { grouped, spanText } from "./progress.ts";
import { tableLines } from "./table-lines.ts";

interface LagOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
}

const WATCH_EVERY_MS = 2_000;
const AT_LEAST =
  "At least: nothing tells when these records were appended, so they count since they were first seen (--watch goes on counting; workers' metrics know more).";

export const lagVerb =
  (connect: Connect, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("lag")
      .argument("[pipeline]", "only this one")
      .option("--watch", "again every two seconds, until interrupted")
      .option(
        "--json",
        "print one JSON object a partition, and one an operator that waits for time",
      )
      .description(
        "show how far each part of each pipeline is behind, in records and seconds, and for which partition windows wait",
      )
      .action((pipeline: string | undefined, options: LagOptions) =>
        run((io) =>
          connected(connect, io, (connection) => {
            const all = plans(connection);
            const chosen = pipeline === undefined ? all : [planNamed(all, pipeline)];
            return showLag(io, connection, chosen, options);
          }),
        ),
      );
  };

async function showLag(
  io: CliIo,
  { kafka, clock }: Connection,
  plans: readonly Plan[],
  options: LagOptions,
): Promise<number> {
  const book = new LagBook();
  for (;;) {
    const lags = await lagsOf(plans, { kafka, clock, book });
    const waits = await timeWaitsOf(plans, kafka);
    const isJson = options.json === true;
    if (isJson) for (const lag of lags) io.out(jsonLine(lag));
    else showTable(io, lags, options.watch === true && io.isTty);
    for (const wait of waits) {
      const shown = { nowMs: clock.now(), quietAfterMs: quietAfterMs(wait, plans, lags) };
      io.out(isJson ? jsonWait(wait, shown) : waitLine(wait, shown));
    }
    await showWaits(io, plans, kafka);
    if (options.watch !== true || io.isCut?.() === true) return exitCodes.ok;
    await clock.sleep(WATCH_EVERY_MS);
  }
}

function showTable(io: CliIo, lags: readonly PartitionLag[], isAnew: boolean): void {
  if (isAnew) io.clear?.();
  for (const line of lagLines(lags)) io.out(line);
  if (lags.some(({ atLeast }) => atLeast)) io.err(AT_LEAST);
}

/** Why a pipeline gets further behind though its workers live. */
async function showWaits(io: CliIo, plans: readonly Plan[], kafka: KafkaPort): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    for (const plan of plans) {
      const gate = await readGate(plan, { kafka, admin });
      if (gate !== null) io.err(gateText(plan, gate));
      for (const part of plan.parts)
        for (const line of await loadingLines(part, admin)) io.err(`${plan.pipeline}.${line}`);
    }
  });
}

/** Reference topics that are not loaded yet, as committed progress says. */
async function loadingLines(part: Part, admin: AdminPort): Promise<readonly string[]> {
  const places = part.sources
    .filter(({ loadFirst }) => loadFirst === true)
    .flatMap(({ name: topic, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
    );
  if (places.length === 0) return [];
  const found = await admin.committed(part.group, places, { stable: false });
  return found.flatMap(({ nextOffset, metadata, ...at }) => {
    const { loadTo = null } = decodeMetadata(metadata) ?? {};
    if (nextOffset === null || loadTo === null || nextOffset >= loadTo) return [];
    const read = `${String(nextOffset)} of ${String(loadTo)}`;
    return [`${part.name}: ${addressOf(at)} is loaded first, ${read}; other sources wait`];
  });
}

const jsonLine = ({ nextOffset, endOffset, ...lag }: PartitionLag): string =>
  JSON.stringify({
    ...lag,
    nextOffset: nextOffset === null ? null : Number(nextOffset),
    endOffset: Number(endOffset),
  });

interface ShownAt {
  readonly nowMs: number;
  readonly quietAfterMs: number | null;
}

/**
 * The idleAfter of a source partition that is read to its end: behind it time goes on by the wall clock, which progress says only
 * when something is committed. Null for any other input, and where a pipeline is said to write the topic: that one is asked first.
 */
function quietAfterMs(
  { pipeline, topic, partition, isWriter, isQueued }: PlanWait,
  plans: readonly Plan[],
  lags: readonly PartitionLag[],
): number | null {
  const ofPartition = lags.filter(
    (lag) => lag.pipeline === pipeline && lag.topic === topic && lag.partition === partition,
  );
  if (isWriter || isQueued || ofPartition.some(({ records }) => records > 0)) return null;
  const { parts = [] } = plans.find((plan) => plan.pipeline === pipeline) ?? {};
  const source = parts.flatMap(({ sources }) => sources).find(({ name }) => name === topic);
  return source?.writtenBy === undefined ? (source?.idleAfterMs ?? null) : null;
}

const jsonWait = (wait: PlanWait, { nowMs, quietAfterMs: ms }: ShownAt): string => {
  const quietAfterSeconds = ms === null ? null : ms / 1_000;
  return JSON.stringify({ ...shownWait(wait, nowMs), through: wait.through, quietAfterSeconds });
};

/** With the topics between parts through which the partition keeps the operator waiting, and what ends the wait by itself. */
function waitLine(wait: PlanWait, { nowMs, quietAfterMs: ms }: ShownAt): string {
  const { why } = shownWait(wait, nowMs);
  const through = wait.through.length === 0 ? [] : [`through ${wait.through.join(", ")}`];
  const quiet =
    ms === null
      ? []
      : [
          `read to its end: ${spanText(ms / 1_000)} behind its last record it follows the wall clock`,
        ];
  const beside = [...through, ...quiet];
  return beside.length === 0 ? why : `${why} (${beside.join("; ")})`;
}

function lagLines(lags: readonly PartitionLag[]): readonly string[] {
  const header = ["GROUP", "TOPIC", "PARTITION", "RECORDS", "BEHIND"];
  const rows = lags.map((lag) => [
    lag.group,
    lag.topic,
    String(lag.partition),
    grouped(lag.records),
    behindText(lag),
  ]);
  const total = lags.reduce((sum, { records }) => sum + records, 0);
  const [oldest] = lags.toSorted((a, b) => b.seconds - a.seconds);
  const behind = oldest === undefined ? spanText(0) : behindText(oldest);
  return [...tableLines([header, ...rows]), `${grouped(total)} records behind, ${behind}`];
}

const behindText = ({ seconds, atLeast }: PartitionLag): string =>
  `${atLeast ? "at least " : ""}${spanText(seconds)}`;
