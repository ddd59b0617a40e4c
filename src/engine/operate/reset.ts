// Puts progress elsewhere while no worker runs. Ledgers of what is moved begin at zero, and the new start is noted. Stores
// never count a record twice: going back needs `withState`, which empties every store of the pipeline and begins anew.
import { sendOnce } from "../core/send-once.ts";
import { emptyLedger } from "../core/ledger.ts";
import { encodeMetadata } from "../core/task-inputs.ts";
import { activeGroups, commitWhenEmpty, membersText, untilEmpty } from "../core/empty-groups.ts";
import { MillraceError } from "../core/errors.ts";
import type { GroupDescription, Progress } from "../core/kafka.ts";
import { isNamedBySource } from "../core/pieces.ts";
import type { Part, Plan, PlanTable } from "../core/plan.ts";
import { readPositions } from "../core/progress.ts";
import { addressOf, type GroupId, type TopicName } from "../core/record.ts";
import { generationRecord, type Reading } from "../notes/generations.ts";
import { pieceRecord, readNotes, startNote, startRecord, type Notes } from "../notes/notes.ts";
import {
  isChosen,
  missingPlace,
  partsNamed,
  type OperatePorts,
  type TaskChoice,
} from "./choice.ts";
import { emptyStores } from "./emptying.ts";
import { sendLetters } from "./gate/send-letters.ts";
import { beginReset } from "../letters/commands/generation.ts";
import {
  forgetFormer,
  formerOffsets,
  type FormerOffset,
  placesOf,
  redrivePlacesOf,
} from "./places.ts";
import {
  aim,
  isInternal,
  isOtherTopic,
  loadingFirst,
  readingsOf,
  skipsOf,
  type Aimed,
  type ResetFacts,
  type ResetTarget,
} from "./targets.ts";

export interface ResetRequest extends TaskChoice {
  readonly target: ResetTarget;
  /** Begins the whole pipeline anew, with empty stores. */
  readonly withState: boolean;
}

export interface ResetPlan {
  readonly plan: Plan;
  readonly moves: readonly Aimed[];
  /** Stores that would be emptied. */
  readonly stores: readonly string[];
  /** Groups that had members: while there is one, nothing may be changed. */
  readonly active: readonly GroupDescription[];
  readonly ids: ReadonlyMap<TopicName, string>;
  /** From where each of the tasks reads on. */
  readonly readings: readonly Reading[];
  /** Progress of what is moved under an earlier name of its part. */
  readonly former: readonly FormerOffset[];
}

/** Plans a reset; changes nothing. Throws what forbids the reset, except that workers are running. */
export async function planReset(
  plan: Plan,
  request: ResetRequest,
  ports: OperatePorts,
): Promise<ResetPlan> {
  const aimed = request.withState
    ? await anew(plan, request, ports)
    : await chosen(plan, request, ports);
  const sources = await loadingFirst(aimed, ports.admin);
  const notes = await readNotes(ports, plan.meta);
  const former = await formerOffsets(
    plan,
    sources.map(({ place }) => place),
    notes,
    ports,
  );
  const moves = [...sources, ...(await lostBeside(plan, { moves: sources, notes, former }, ports))];
  const ids = await idsOf(moves, ports);
  const known = { notes, ids };
  if (!request.withState) checkState(plan, moves, known);
  const stores = request.withState ? plan.parts.flatMap((part) => part.stores) : [];
  const active = await activeGroups(groupsOf(moves, former), ports.admin);
  const names = stores.map(({ name }) => name);
  const readings = readingsOf(sources, known, request.withState);
  return { plan, moves, stores: names, active, ids, readings, former };
}

/** The ids of the topics that are moved in, by name. */
async function idsOf(
  moves: readonly Aimed[],
  { admin }: OperatePorts,
): Promise<ReadonlyMap<TopicName, string>> {
  const described = await admin.describeTopics([...new Set(moves.map(({ place }) => place.topic))]);
  return new Map([...described].map(([topic, found]) => [topic, found?.id ?? ""]));
}

/** Puts tasks that have never run where they begin. */
export async function putStarts(
  plan: Plan,
  moves: readonly Aimed[],
  ports: OperatePorts,
): Promise<void> {
  const ids = await idsOf(moves, ports);
  await untilEmpty(
    plan.parts.map(({ group }) => group),
    ports,
  );
  await reset({ plan, moves, stores: [], active: [], ids, readings: [], former: [] }, ports);
}

const groupsOf = (moves: readonly Aimed[], former: readonly FormerOffset[]): GroupId[] => [
  ...new Set([...moves.map(({ place }) => place.part.group), ...former.map(({ group }) => group)]),
];

function refuseActive(active: readonly GroupDescription[]): void {
  if (active.length > 0) throw new MillraceError("MILL_OFFSETS_ACTIVE", membersText(active));
}

/** A reset that is planned while workers go would be of places that they still move: so it is planned when they have gone. */
export async function planWhenIdle(
  plan: Plan,
  request: ResetRequest,
  ports: OperatePorts,
): Promise<ResetPlan> {
  const found = await planReset(plan, request, ports);
  if (found.active.length === 0) return found;
  await untilEmpty(groupsOf(found.moves, found.former), ports);
  return planReset(plan, request, ports);
}

async function chosen(
  plan: Plan,
  request: ResetRequest,
  ports: OperatePorts,
): Promise<readonly Aimed[]> {
  const places = request.topic === plan.redrive ? redrivePlacesOf : placesOf;
  const all = await places(plan, partsNamed(plan, request.part), ports);
  const wanted = all.filter((place) => isChosen(place, request));
  if (wanted.length > 0) return aim(wanted, request.target, ports);
  throw missingPlace(all.map(({ topic }) => topic));
}

/** Topics of others from their beginning, own ones from their end: what is in them is made again. */
async function anew(
  plan: Plan,
  { part, topic, partition, target }: ResetRequest,
  ports: OperatePorts,
): Promise<readonly Aimed[]> {
  const isWhole = part === null && topic === null && partition === null;
  if (!isWhole || target.kind !== "earliest")
    throw new MillraceError(
      "MILL_USAGE",
      "--with-state begins the whole pipeline anew: --to earliest, without --part, --topic or --partition",
    );
  const streams = plan.parts.filter((each) => each.table === null);
  const places = await placesOf(plan, streams, ports);
  return places.map((place) => ({ place, to: isInternal(place) ? place.high : place.low }));
}

/**
 * A task keeps its place in the redrive topic. If that is lost too, the task goes to the end: records there were
 * made of records of the sources, which are where the reset puts them.
 */
async function lostBeside(
  plan: Plan,
  { moves, notes, former }: Pick<ResetPlan, "moves" | "former"> & { readonly notes: Notes },
  ports: OperatePorts,
): Promise<readonly Aimed[]> {
  const parts = [...new Set(moves.map(({ place }) => place.part))];
  const formerAt = new Set(former.map(addressOf));
  return (await redrivePlacesOf(plan, parts, ports)).flatMap((place) => {
    const beside = moves
      .map((move) => move.place)
      .filter(({ part, partition }) => part === place.part && partition === place.partition)
      .filter(({ topic }) => topic !== place.topic);
    if (place.committed !== null || beside.length === 0) return [];
    // A part that has never run under its name: its letters are in the same place as its progress.
    const isLost =
      beside.some((at) => formerAt.has(addressOf(at))) ||
      startNote(notes, place.part.group, place) !== null;
    return isLost ? [{ place, to: place.high }] : [];
  });
}

/** Records that were never read, or that lie in another topic of the same name, were counted by nobody. */
function checkState(plan: Plan, moves: readonly Aimed[], known: ResetFacts): void {
  const twice = moves.find(({ place, to }) => {
    if (storesBehind(plan, place.part).length === 0) return false;
    const note = startNote(known.notes, place.part.group, place);
    if (isOtherTopic(place, known) || (note === null && place.committed === null)) return false;
    const read = place.committed ?? place.high;
    return to < (read < place.high ? read : place.high);
  });
  if (twice === undefined) return;
  const { place, to } = twice;
  const from = place.committed === null ? "unknown" : String(place.committed);
  const stores = storesBehind(plan, place.part).join(", ");
  const detail = `${addressOf(place)} from ${from} back to ${String(to)}, behind it: ${stores}`;
  throw new MillraceError("MILL_OFFSETS_STATE", detail);
}

/** Stores of the part, and of the parts that its internal topics lead to. */
function storesBehind(plan: Plan, part: Part): readonly string[] {
  const reached = new Set([part]);
  for (const from of reached)
    for (const { operation, facts } of from.nodes)
      for (const next of plan.parts)
        if (
          (facts.writes === "repartition" || facts.writes === "forward") &&
          next.sources.some((source) => source.name === operation.topic?.name)
        )
          reached.add(next);
  return [...reached].flatMap(({ stores }) => stores.map((store) => store.name));
}

/**
 * 1 nobody is at work, and pending letters of tables are sent · 2 a generation of letters begins: who joined before its note
 * is seen as a member, who joins later reads nothing until the reset has ended · 3 stores · 4 progress · 5 where it began, and
 * the end. A reset that has died is repeated.
 */
export async function reset(found: ResetPlan, ports: OperatePorts): Promise<void> {
  const { plan, moves, stores, active, ids, former } = found;
  const groups = groupsOf(moves, former);
  // 1
  refuseActive(active);
  refuseActive(await activeGroups(groups, ports.admin));
  await sendLetters(plan, [...new Set(moves.map(({ place }) => place.part))], ports);
  // 2
  const generation = await begin(found, ports);
  refuseActive(await activeGroups(groups, ports.admin));
  const streams = moves.filter(({ place }) => place.part.table === null);
  const sinks = moves.filter(({ place }) => place.part.table !== null);
  // 3
  if (stores.length > 0) await emptyStores(plan, ports);
  // 4
  await forgetFormer(former, ports);
  await commit(plan, streams, ports, stores.length === 0);
  for (const { place, to } of sinks) {
    const { part, topic, partition } = place;
    const task = { pipeline: plan.pipeline, part: part.name, topic, partition };
    await ports.tableStore(part.table as PlanTable).reset(task, to);
  }
  // For lag only: a sink's progress is in its row.
  await commit(plan, sinks, ports, false);
  // 5
  const notes = moves.flatMap(({ place, to }) => {
    const { group } = place.part;
    const start = { topic: place.topic, partition: place.partition, nextOffset: to };
    const topicId = ids.get(place.topic) ?? null;
    const { partitions } = place.part;
    const begun = startRecord(plan.meta, group, start, { topicId, partitions });
    return isNamedBySource(place.part) ? [begun, pieceRecord(plan.meta, group, place)] : [begun];
  });
  if (generation !== null)
    notes.push(generationRecord(plan.meta, { ...generation, isUnfinished: false }));
  await sendOnce(ports.kafka, notes);
}

/** Null for tasks that have never run: they have no letters. */
function begin({ plan, moves, readings, stores }: ResetPlan, ports: OperatePorts) {
  if (readings.length === 0) return null;
  const skipped = skipsOf(plan, moves);
  const positions = () => readPositions(plan, ports);
  const hasOtherStores = stores.length > 0;
  return beginReset(plan, { readings, hasOtherStores, skipped, positions }, ports);
}

async function commit(
  { namespace }: Plan,
  moves: readonly Aimed[],
  ports: OperatePorts,
  keepTime: boolean,
): Promise<void> {
  const byGroup = Map.groupBy(moves, ({ place }) => place.part.group);
  for (const [group, own] of byGroup) {
    const progress = own.map(({ place, to, loadTo = place.loadTo }): Progress => {
      const { topic, partition, owner, time } = place;
      const metadata = encodeMetadata({
        // Whoever takes over ends what this id has open.
        owner: owner ?? `${namespace}millrace-reset`,
        ledger: emptyLedger(),
        time: keepTime ? time : {},
        loadTo: loadTo !== null && loadTo > to ? loadTo : null,
      });
      return { topic, partition, nextOffset: to, metadata };
    });
    await commitWhenEmpty(group, progress, ports);
  }
}
