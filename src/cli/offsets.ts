// `millrace offsets show | reset`: where every task is, and putting it elsewhere while no worker runs.
import type { StoredTime } from "../engine/core/event-time.ts";
import { membersText } from "../engine/core/empty-groups.ts";
import { runningPlan } from "../engine/operate/gate/running-plan.ts";
import { placesOf, type TaskPlace } from "../engine/operate/places.ts";
import { openWithinReset } from "../engine/letters/commands/generation.ts";
import { planReset, planWhenIdle, reset, type ResetPlan } from "../engine/operate/reset.ts";
import type { Aimed } from "../engine/operate/targets.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type Register } from "./io.ts";
import {
  asPatient,
  onPipeline,
  type ConnectOperate,
  writing,
  type VerbContext,
  type WaitOptions,
} from "./operating.ts";
import {
  choiceOf,
  exitUnlessYes,
  mayDo,
  type ChangeOptions,
  type ChoiceOptions,
} from "./option-values.ts";
import { grouped } from "./progress.ts";
import { targetOf } from "./reset-target.ts";
import { tableLines } from "./table-lines.ts";

const SHOW_HELP = `
COMMITTED is the next offset to read: of the group, or for a table of its progress row; HINT is then what Kafka was told
of it. LAG counts offsets, of which some may be no records.

Exit codes: 0 shown · 3 no such pipeline · 69 a server is away.

Examples:
  $ npx millrace offsets show retail
  $ npx millrace offsets show retail --json`;

const RESET_HELP = `
Places: earliest · latest · offset:N · 2026-01-05 or time:2026-01-05T11:53:26Z · duration:PT1H (so long ago) · shift:-N or shift:+N ·
group:NAME, where another consumer group has come to (it must have no members; topics that it does not read stay) ·
file:PATH with lines topic,partition,offset. None is bent: what lies outside of the topic is refused.

What becomes of the rest:
  ledgers  those of what is moved begin at zero, as a new consumer's would; so they count from the new place.
  stores   are never made to count a record twice. Going back is refused where stores are behind it; going on past records
           that were not read is not, and the stores lack these. --with-state begins the whole pipeline anew: empties every
           store and its copy, reads the sources from their earliest offset and its own repartition topics from their end.
           What retention has taken from the sources is then missing in the stores.
  outputs  what was written to topics stays, and is written again. Rows stay, and are changed only by newer ones.

Workers must be stopped. A worker that was killed stays a member of its groups until its session ends, so the command waits
for MILLRACE_SESSION_TIMEOUT_MS and 5 s, and names the members meanwhile; --no-wait refuses them at once.

Exit codes: 0 done, or shown by --dry-run · 2 usage, or --yes is missing · 3 no such pipeline, part, partition or group ·
5 a group still has members, or stores would count records twice · 69 a server is away.

Examples:
  $ npx millrace offsets reset retail --part main --topic retail-lines --partition 3 --to earliest --dry-run
  $ npx millrace offsets reset retail --to 2026-01-05 --yes
  $ npx millrace offsets reset retail --to group:old-loader --dry-run
  $ npx millrace offsets reset retail --to earliest --with-state --yes`;

interface ShowOptions {
  readonly json?: boolean;
}

interface ResetOptions extends ChoiceOptions, ChangeOptions, WaitOptions {
  readonly to: string;
  readonly withState?: boolean;
}

export const offsetsVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    const offsets = program.command("offsets").description("show or reset where every task is");
    const within = onPipeline(connect, plans, run, runningPlan);
    offsets
      .command("show")
      .argument("<pipeline>")
      .option("--json", "print one JSON object a part, topic and partition")
      .description("show committed progress and where the topics begin and end")
      .addHelpText("after", SHOW_HELP)
      .action((name: string, options: ShowOptions) => within(name, options, show));
    offsets
      .command("reset")
      .argument("<pipeline>")
      .requiredOption("--to <place>", "where to go on; see below")
      .option("--part <part>", "only this part")
      .option("--topic <topic>", "only this topic")
      .option("--partition <n>", "only this partition")
      .option("--with-state", "begin the whole pipeline anew, with empty stores")
      .option("--dry-run", "show what would be done; changes nothing")
      .option("--no-wait", "refuse at once while a group has members")
      .option("--yes", "do it without asking")
      .option("--json", "print one JSON object a move")
      .description("put progress elsewhere, while no worker of the pipeline runs")
      .addHelpText("after", RESET_HELP)
      .action((name: string, options: ResetOptions) => within(name, options, writing(resetTo)));
  };

async function show({ io, plan, ports, options }: VerbContext<ShowOptions>): Promise<number> {
  const places = await placesOf(plan, plan.parts, ports);
  for (const line of options.json === true ? places.map(placeJson) : placeLines(places))
    io.out(line);
  return exitCodes.ok;
}

const numberOf = (offset: bigint | null): number | null =>
  offset === null ? null : Number(offset);
const textOf = (offset: bigint | null): string => (offset === null ? "-" : String(offset));
/** A log that was cut is not behind. */
const lagOf = ({ committed, low, high }: TaskPlace): bigint => {
  const from = committed ?? low;
  return from > high ? 0n : high - from;
};
/** A watermark may lie before 1970, by a grace; "end" is that of a source from which nothing comes any more. */
const timeOf = (epochMs: number | null): string | null =>
  epochMs === null ? null : epochMs === Infinity ? "end" : new Date(epochMs).toISOString();
/** The time of a source; of a topic between parts that of its slowest writer. */
function watermarkIn({ time, asserted, channels }: StoredTime): number | null {
  const watermark = Math.max(time ?? -Infinity, asserted ?? -Infinity, least(channels));
  return watermark === -Infinity ? null : watermark;
}
const least = (channels: readonly number[] | undefined): number =>
  channels === undefined ? -Infinity : Math.min(...channels);

const placeJson = (place: TaskPlace): string =>
  JSON.stringify({
    part: place.part.name,
    group: place.part.group,
    topic: place.topic,
    partition: place.partition,
    committed: numberOf(place.committed),
    low: Number(place.low),
    high: Number(place.high),
    lag: Number(lagOf(place)),
    owner: place.owner,
    streamTime: timeOf(watermarkIn(place.time)),
    hint: numberOf(place.hint),
    epoch: numberOf(place.epoch),
  });

function placeLines(places: readonly TaskPlace[]): readonly string[] {
  const header = ["PART", "TOPIC", "PARTITION", "COMMITTED", "LOW", "HIGH", "LAG", "HINT", "EPOCH"];
  const rows = places.map((place) => [
    place.part.name,
    place.topic,
    String(place.partition),
    ...[place.committed, place.low, place.high, lagOf(place), place.hint, place.epoch].map(textOf),
    timeOf(watermarkIn(place.time)) ?? "-",
    place.owner ?? "-",
  ]);
  return tableLines([[...header, "STREAM TIME", "OWNER"], ...rows]);
}

async function resetTo(at: VerbContext<ResetOptions>): Promise<number> {
  const { io, plan, options } = at;
  const ports = asPatient(at.ports, options);
  const request = {
    ...choiceOf(options),
    target: targetOf(options.to, ports.clock.now()),
    withState: options.withState === true,
  };
  const found = await (mayDo(io, options) ? planWhenIdle : planReset)(plan, request, ports);
  for (const line of options.json === true ? found.moves.map(moveJson) : moveLines(found))
    io.out(line);
  const open = await openWithinReset(plan, found.readings, ports);
  if (open > 0)
    io.err(`Open dead letters that are over then, as they are read again: ${grouped(open)}`);
  if (options.dryRun === true && found.active.length > 0)
    io.err(`It would wait for members to leave: ${membersText(found.active)}`);
  const refusal = await exitUnlessYes(io, options, "changed");
  if (refusal !== null) return refusal;
  await reset(found, ports);
  return exitCodes.ok;
}

const moveJson = ({ place, to }: Aimed): string =>
  JSON.stringify({
    part: place.part.name,
    topic: place.topic,
    partition: place.partition,
    from: numberOf(place.committed),
    to: Number(to),
  });

function moveLines({ moves, stores }: ResetPlan): readonly string[] {
  const header = ["PART", "TOPIC", "PARTITION", "FROM", "TO"];
  const rows = moves.map(({ place, to }) => [
    place.part.name,
    place.topic,
    String(place.partition),
    textOf(place.committed),
    String(to),
  ]);
  const emptied = stores.length === 0 ? [] : [`stores emptied: ${stores.join(", ")}`];
  return [...tableLines([header, ...rows]), ...emptied];
}
