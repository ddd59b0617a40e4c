// pinRange(): what a run reads, as offsets that stay what they are whatever is written meanwhile. Refuses what is not there
// any more. The ends of live topics are pinned first: every record below them came of sources that lie within the range.
import { MillraceError } from "../../core/errors.ts";
import type { StartOffset, Watermarks } from "../../core/kafka.ts";
import { outputOf, type Plan } from "../../core/plan.ts";
import { addressOf, type TopicName, type TopicPartition } from "../../core/record.ts";
import type { RangePlace, RunRange } from "../words/run.ts";
import { offsetsAt, type TimedOffset, type TimePorts } from "./times.ts";

export type Aim =
  { readonly kind: "earliest" | "latest" } | { readonly kind: "time"; readonly epochMs: number };

export interface RangeRequest {
  /** Null: nothing is read of a topic that is not named otherwise. */
  readonly from: Aim | null;
  readonly to: Aim;
  /** Go before the aims, for the partitions that they name. */
  readonly fromOffsets: readonly StartOffset[];
  readonly toOffsets: readonly StartOffset[];
  readonly marginMs: number;
}

export interface Pinned {
  readonly range: RunRange;
  readonly warnings: readonly string[];
}

/** Names are those of the live pipeline. `staged` topics are left out. Throws MILL_RUN_RANGE with every reason, MILL_BUILD_LOOP. */
export async function pinRange(
  plan: Plan,
  { request, staged }: { readonly request: RangeRequest; readonly staged: readonly TopicName[] },
  ports: TimePorts,
): Promise<Pinned> {
  checkOwnSources(plan);
  const sources = new Set(plan.parts.flatMap((part) => part.sources.map(({ name }) => name)));
  const pins = await pinsOf(sources, ports);
  const topics = plan.topics.input.filter(({ name }) => !staged.includes(name));
  const known = topics.map(({ name }) => name);
  const strays = [...request.fromOffsets, ...request.toOffsets].filter(
    (at) => !known.includes(at.topic) || pins[at.topic]?.[at.partition] === undefined,
  );
  if (strays.length > 0) throw strayError(strays, known);
  const references = referencesOf(plan);
  const found = await Promise.all(
    topics.map(({ name }) => pinTopic(name, requestFor(name, references, request), ports)),
  );
  const problems = found.flatMap((topic) => topic.problems);
  if (problems.length > 0) throw new MillraceError("MILL_RUN_RANGE", problems.join("; "));
  const places = plan.parts.flatMap((part) =>
    found
      .flatMap((topic) => topic.places)
      .filter(({ topic }) => part.sources.some(({ name }) => name === topic))
      .map((place): RangePlace => ({ part: part.name, ...place })),
  );
  const isCut = found.some((topic) => topic.isCut);
  const warnings = [
    ...found.flatMap((topic) => topic.warnings),
    ...eatenWarnings(places, references),
    ...stateWarnings(plan, isCut, references),
  ];
  return { range: { places, own: [], pins, ...begun(request.from) }, warnings };
}

const begun = (from: Aim | null): Pick<RunRange, "fromMs"> =>
  from?.kind === "time" ? { fromMs: from.epochMs } : {};

/** Topics that are read first, each whole. */
export const referencesOf = ({ parts }: Plan): ReadonlySet<TopicName> =>
  new Set(
    parts.flatMap(({ sources }) =>
      sources.filter(({ loadFirst }) => loadFirst === true).map(({ name }) => name),
    ),
  );

/** A range cuts the other topics: a reference topic is read whole, unless offsets of it are named. */
const requestFor = (
  topic: TopicName,
  references: ReadonlySet<TopicName>,
  request: RangeRequest,
): RangeRequest =>
  references.has(topic)
    ? { ...request, from: { kind: "earliest" }, to: { kind: "latest" } }
    : request;

/** Retention may have passed the start of what is to be read whole. */
const eatenWarnings = (
  places: readonly RangePlace[],
  references: ReadonlySet<TopicName>,
): ReadonlySet<string> =>
  new Set(
    places
      .filter(({ topic, from }) => references.has(topic) && from > 0n)
      .map(
        (at) =>
          `${addressOf(at)} is read first, from ${String(at.from)}: retention has passed its start, so a part of it is missing`,
      ),
  );

/** A run reads the sources of a part in the order of their times: it would wait for what it has not written yet. */
function checkOwnSources({ parts }: Plan): void {
  for (const { name, nodes, sources } of parts) {
    const written = new Set(nodes.map((node) => outputOf(node)?.name));
    const topic = sources.find((source) => written.has(source.name))?.name;
    if (topic === undefined) continue;
    const detail = `part ${name} reads ${topic}, which it writes itself: a run would wait for records that it has not written yet. Read ${topic} in a pipeline of its own`;
    throw new MillraceError("MILL_BUILD_LOOP", detail);
  }
}

/** The ends of these topics, by partition. */
export async function pinsOf(
  topics: Iterable<TopicName>,
  { admin }: Pick<TimePorts, "admin">,
): Promise<Record<TopicName, bigint[]>> {
  const pins: Record<TopicName, bigint[]> = {};
  for (const topic of topics)
    pins[topic] = (await admin.watermarks(topic))
      .toSorted((a, b) => a.partition - b.partition)
      .map(({ high }) => high);
  return pins;
}

const strayError = (strays: readonly TopicPartition[], known: readonly string[]): MillraceError => {
  const there = known.join(", ") || "none";
  const detail = `not read from Kafka by this run: ${strays.map(addressOf).join(", ")}; there are: ${there}`;
  return new MillraceError("MILL_USAGE", detail);
};

async function pinTopic(topic: TopicName, request: RangeRequest, ports: TimePorts) {
  const marks = await ports.admin.watermarks(topic);
  const { marginMs } = request;
  const timed = (aim: Aim | null): Promise<readonly TimedOffset[]> =>
    aim?.kind === "time" ? offsetsAt(topic, aim.epochMs, marginMs, ports) : Promise.resolve([]);
  const [froms, tos] = await Promise.all([timed(request.from), timed(request.to)]);
  const described = (await ports.admin.describeTopics([topic])).get(topic) ?? null;
  const isCompacted = described?.config["cleanup.policy"] === "compact";
  const pinned = marks.map((mark) => {
    const from = aimed(mark, request.from, froms, request.fromOffsets);
    const to = aimed(mark, request.to, tos, request.toOffsets);
    const isTimed = froms.length > 0 && !isListed(mark, request.fromOffsets);
    return { mark, from, to, problems: problemsOf(mark, from, to, isTimed && !isCompacted) };
  });
  return {
    places: pinned.map(({ mark: { partition }, from, to }) => ({ topic, partition, from, to })),
    problems: pinned.flatMap((one) => one.problems),
    warnings: [
      ...olderThan(froms, "start, and are read too"),
      ...olderThan(tos, "end, and are not read"),
    ],
    isCut: pinned.some(({ mark, from }) => from > mark.low),
  };
}

const isListed = (at: TopicPartition, listed: readonly TopicPartition[]): boolean =>
  listed.some((one) => addressOf(one) === addressOf(at));

function aimed(
  mark: Watermarks,
  aim: Aim | null,
  timed: readonly TimedOffset[],
  listed: readonly StartOffset[],
): bigint {
  const given = listed.find((at) => addressOf(at) === addressOf(mark));
  if (given !== undefined) return given.nextOffset;
  if (aim?.kind === "earliest") return mark.low;
  if (aim?.kind !== "time") return mark.high;
  return timed.find(({ partition }) => partition === mark.partition)?.nextOffset ?? mark.high;
}

/** `isSuspect`: retention may have passed the time at which the range begins. */
function problemsOf(mark: Watermarks, from: bigint, to: bigint, isSuspect: boolean): string[] {
  const { low, high } = mark;
  const at = addressOf(mark);
  const has = `it has ${String(low)} to ${String(high)}`;
  if (from < low) return [`${at}: from ${String(from)}, ${has}: retention has passed the start`];
  if (isSuspect && low > 0n && from === low && low < high)
    return [
      `${at}: its first record, ${String(low)}, is younger than the start: retention may have passed it`,
    ];
  if (to > high) return [`${at}: to ${String(to)}, ${has}`];
  return from > to ? [`${at}: from ${String(from)} to ${String(to)} is no range`] : [];
}

const olderThan = (timed: readonly TimedOffset[], what: string): string[] =>
  timed
    .filter(({ older }) => older > 0)
    .map(
      (at) =>
        `${addressOf(at)}: ${String(at.older)} records within the margin are older than the ${what}`,
    );

/** State that is built from the middle of a history is not that history's. */
function stateWarnings(
  { parts }: Plan,
  isCut: boolean,
  references: ReadonlySet<TopicName>,
): string[] {
  const stores = parts.flatMap((part) => part.stores.map(({ name }) => name));
  if (stores.length === 0 || !isCut) return [];
  const whole = [...references].join(", ");
  const but = whole === "" ? "" : `, but for what they keep of ${whole}`;
  return [
    `the range begins after the first record that is there: ${stores.join(", ")} begin from nothing${but}`,
  ];
}
