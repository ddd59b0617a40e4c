// `millrace dlq redrive`: sends letters back to the tasks that refused them, at a rate, and says what became of them.
import { late } from "../../engine/core/late-topics.ts";
import { idleParts } from "../../engine/core/progress.ts";
import { jsonText } from "../../data/json-text.ts";
import { MillraceError } from "../../engine/core/errors.ts";
import { groupsOf, isChosen } from "../../engine/letters/filter.ts";
import type { FoundLetter } from "../../engine/letters/found-letter.ts";
import { cancelJob } from "../../engine/letters/commands/operator.ts";
import { endsOf, histogramOf } from "../../engine/letters/commands/outcomes.ts";
import {
  planRedrive,
  redrive,
  REDRIVES_MAX,
  type RedriveResult,
  type RefusedRedrive,
} from "../../engine/letters/commands/redrive.ts";
import { readNotes } from "../../engine/notes/notes.ts";
import { exitCodes } from "../io.ts";
import { wholeOption, wrongOption } from "../option-values.ts";
import { grouped, progress } from "../progress.ts";
import { tableLines } from "../table-lines.ts";
import type { VerbContext } from "../operating.ts";
import { choiceOf, filterOf, type FilterOptions } from "./letter-filter.ts";
import { groupLines } from "./list.ts";

export interface RedriveOptions extends FilterOptions {
  readonly parked?: boolean;
  readonly rate?: string;
  readonly max?: string;
  readonly from: string;
  readonly wait?: string | boolean;
  readonly cancel?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}
type Redriving = VerbContext<RedriveOptions>;
type IsChosen = (letter: Omit<FoundLetter, "record">) => boolean;

export async function redriveLetters(at: Redriving): Promise<number> {
  const { options, plan } = at;
  if (options.cancel === true) return cancel(at);
  const filter = filterOf(plan, options);
  const byOptions = await choiceOf(at, filter);
  const parked = options.parked === true ? "only" : "without";
  const choice: IsChosen = (letter) => byOptions(letter) && isChosen(letter, { ...filter, parked });
  const isWanted = fromOf(options.from) === "start" ? fromStart(at, choice) : choice;
  return options.dryRun === true ? dryRun(at, isWanted) : send(at, isWanted);
}

function fromOf(text: string): "start" | "failed-step" {
  if (text === "start" || text === "failed-step") return text;
  throw wrongOption("--from", "failed-step or start", text);
}

/** A letter left nothing behind, so its part's source is where it failed; before that lies what other records share. */
function fromStart({ plan }: Redriving, choice: IsChosen): IsChosen {
  const inner = new Set(plan.topics.internal.map(({ name }) => name));
  return (letter) => {
    if (!choice(letter) || letter.state.state !== "open") return false;
    if (!inner.has(letter.origin.topic) && letter.result === null) return true;
    const why = `${letter.id} failed behind ${letter.origin.topic}: what its record did before is done. Use --from failed-step`;
    throw new MillraceError("MILL_REDRIVE_REFUSED", why);
  };
}

async function dryRun({ io, plan, ports, options }: Redriving, choice: IsChosen): Promise<number> {
  const { chosen, refused } = await planRedrive(plan, { isChosen: choice }, ports);
  const groups = groupsOf(chosen);
  if (options.json === true) {
    for (const group of groups) io.out(jsonText({ ...group, to: plan.redrive }));
    for (const one of refused) io.out(refusedJson(one));
    return exitCodes.ok;
  }
  for (const line of [...groupLines(groups), ...partitionLines(chosen), ...refusedLines(refused)])
    io.out(line);
  io.err(`${grouped(chosen.length)} letters would go to ${plan.redrive}. Nothing was changed.`);
  return exitCodes.ok;
}

/** The partitions that the letters would go to. */
function partitionLines(letters: readonly FoundLetter[]): readonly string[] {
  if (letters.length === 0) return [];
  const groups = Map.groupBy(letters, ({ part, origin }) =>
    [part, origin.topic, String(origin.partition)].join(" "),
  );
  const rows = [...groups].map(([place, all]) => [...place.split(" "), grouped(all.length)]);
  return ["", ...tableLines([["PART", "TOPIC", "PARTITION", "LETTERS"], ...rows])];
}

const refusedJson = ({ letter, why }: RefusedRedrive): string =>
  jsonText({ refused: letter.id, why });
const refusedLines = (refused: readonly RefusedRedrive[]): readonly string[] =>
  refused.map(({ letter, why }) => `refused  ${letter.id}  ${why}`);

async function send(at: Redriving, choice: IsChosen): Promise<number> {
  const { io, plan, ports, options } = at;
  const ratePerS = wholeOption("--rate", options.rate, { min: 1, fallback: null });
  const fallback = plan.options.redrivesMax ?? REDRIVES_MAX;
  const redrivesMax = wholeOption("--max", options.max, { min: 1, fallback });
  const job = `redrive-${ports.clock.now().toString(36)}`;
  let shown: ReturnType<typeof progress> | null = null;
  const result = await redrive(
    plan,
    {
      ...{ job, isChosen: choice, redrivesMax, ratePerS },
      onMade: () =>
        io.err(`${plan.redrive} was made: running workers begin to read it within ten seconds.`),
      onBegin: (total) => {
        if (total > 0) shown = progress(io, ports.clock, { done: "sent back", total });
      },
      onSent: (n) => shown?.add(n),
    },
    ports,
  );
  // Narrowed to null where the compiler does not see the callback.
  (shown as ReturnType<typeof progress> | null)?.end();
  return report(at, result);
}

async function report(at: Redriving, result: RedriveResult): Promise<number> {
  await reportBeside(at, result);
  const { options } = at;
  const ends = options.wait === undefined ? null : await waited(at, result.sent);
  for (const line of options.json === true ? resultJson(result, ends) : resultLines(result, ends))
    at.io.out(line);
  const isWhole = result.refused.length === 0 && !result.isCancelled;
  return isWhole && ends?.isWell !== false ? exitCodes.ok : exitCodes.failure;
}

function resultJson(result: RedriveResult, ends: Ends | null): readonly string[] {
  const { job, sent, isCancelled } = result;
  const refused = result.refused.map(({ letter, why }) => ({ id: letter.id, why }));
  return [jsonText({ job, sent: sent.length, refused, isCancelled, ends: ends?.counts ?? null })];
}

const resultLines = ({ job, sent, refused }: RedriveResult, ends: Ends | null): string[] => [
  `${job}: ${grouped(sent.length)} letters sent back, ${grouped(refused.length)} refused`,
  ...Object.entries(ends?.counts ?? {}).map(([name, n]) => `${grouped(n)}  ${name}`),
];

/** Prints the facts that an operator should know beside the figures. */
async function reportBeside({ io, plan, ports }: Redriving, result: RedriveResult): Promise<void> {
  const { sent, refused, isCancelled } = result;
  if (sent.length + refused.length === 0) io.err("No open letter matches.");
  for (const line of refusedLines(refused)) io.err(line);
  if (isCancelled) io.err("Cancelled. What was sent before is not taken back.");
  const parts = plan.parts.filter(({ name }) => sent.some(({ part }) => part === name));
  const idle = (await idleParts(parts, ports.admin)).map(({ name }) => name);
  if (idle.length > 0)
    io.err(`No worker runs ${idle.join(", ")}: they are processed when one does.`);
}

type Ends = Awaited<ReturnType<typeof waited>>;

async function waited({ io, plan, ports, options }: Redriving, sent: readonly FoundLetter[]) {
  const seconds = typeof options.wait === "string" ? options.wait : undefined;
  const limit = wholeOption("--wait", seconds, { min: 1, fallback: null });
  const total = sent.length;
  const shown = total === 0 ? null : progress(io, ports.clock, { done: "processed again", total });
  const limitMs = limit === null ? null : limit * 1_000;
  const { ends, queued } = await endsOf(plan, sent, ports, {
    limitMs,
    onEnded: (n) => shown?.add(n),
  });
  shown?.end();
  const missing = sent.length - ends.size;
  const open = { "queued: waiting for a call": queued, "on their way": missing - queued };
  const unsettled = Object.fromEntries(Object.entries(open).filter(([, n]) => n > 0));
  const counts = { ...Object.fromEntries(histogramOf(ends.values())), ...unsettled };
  const isWell = missing === 0 && [...ends.values()].every(({ state }) => state === "resolved");
  return { counts, isWell };
}

async function cancel({ io, plan, ports }: Redriving): Promise<number> {
  const job = await cancelJob(plan, await readNotes(late(ports), plan.letterStates), ports);
  if (job === null) {
    io.err("No redrive runs.");
    return exitCodes.ok;
  }
  io.err(
    `${job.job} was asked to end; it had sent ${grouped(job.sent)} of ${grouped(job.chosen)}. What was sent is not taken back.`,
  );
  return exitCodes.ok;
}
