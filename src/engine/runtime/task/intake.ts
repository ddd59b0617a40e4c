// The intake of a task from its inbox, slice by slice: records as they were when they were first read, each as far as
// its values can be read. Records of the redrive topic are restored where they come from a letter; those of other parts are passed over, as these
// read the same partition for themselves, and so are letters whose records the task reads again in its sources. A slice is decoded when this is known: whether its values have a structure that
// this code reads, and the schemas of their writers. The task waits for both; not for a letter that comes back, since it
// would delay everything behind it.
import type { MillraceError } from "../../core/errors.ts";
import type { Mark } from "../../core/event-time.ts";
import { readerOf } from "../../core/pieces.ts";
import type { Part, Plan } from "../../core/plan.ts";
import { placeOf, type RawRecord, type TopicName } from "../../core/record.ts";
import { originalHeaders, redriveOrderOf, type RedriveOrder } from "../../core/redrive.ts";
import { marksIn, takenAge, takenOrigin } from "../../core/time-headers.ts";
import type { Inbox } from "../../source/inbox.ts";
import type { FetchedSlice } from "../../source/queue.ts";
import type { BoundPart } from "./bind.ts";
import { lookForRedriven, patiently, recognise, type Learner } from "./line/recognise.ts";
import type { SchemaCache } from "./schema-cache.ts";

/** Consecutive records of one partition; progress is of the topic `place`. */
export interface Slice extends FetchedSlice {
  readonly place: TopicName;
  /** The markers between them. */
  readonly marks: readonly PlacedMarks[];
}

/** The watermarks of a marker, and the place of the first record behind it. */
export interface PlacedMarks {
  readonly before: number;
  readonly marks: readonly Mark[];
}

/** The slice's first records, with the markers up to the next one. */
const firstOf = ({ records, marks, ...slice }: Slice, count: number): Slice => ({
  ...slice,
  records: records.slice(0, count),
  marks: marks.filter(({ before }) => before <= count),
  nextOffset: placeOf(records[count] as RawRecord).offset,
});

/** The slice behind its first records. */
export const restOf = ({ records, marks, ...slice }: Slice, from: number): Slice => ({
  ...slice,
  records: records.slice(from),
  marks: marks.flatMap((one) => (one.before > from ? { ...one, before: one.before - from } : [])),
});

/** The watermarks of the markers in front of a record of the slice. */
export const marksBefore = ({ marks }: Slice, at: number): readonly Mark[] =>
  marks.flatMap((placed) => (placed.before <= at ? placed.marks : []));

/** Whether a letter that comes back is over, since its record is read again in the source. */
type IsSuperseded = (order: RedriveOrder) => boolean;

/** The questions of a task about records of the redrive topic. */
export interface RedriveChecks {
  readonly isSuperseded: IsSuperseded;
  /** The records among them that come from a letter of the pipeline. */
  proven(records: readonly RawRecord[]): Promise<ReadonlySet<RawRecord>>;
  onUnproven(records: number): void;
}

export class Intake {
  readonly #bound: BoundPart;
  readonly #inbox: Inbox;
  readonly #checks: RedriveChecks;
  /** Taken from the inbox and not begun. */
  readonly #slices: Slice[] = [];

  constructor(bound: BoundPart, inbox: Inbox, checks: RedriveChecks) {
    this.#bound = bound;
    this.#inbox = inbox;
    this.#checks = checks;
  }

  get isEmpty(): boolean {
    return this.#slices.length === 0 && this.#inbox.isEmpty;
  }

  /** The reason why nothing comes any more, once everything in front of it was given out. */
  get failure(): MillraceError | null {
    return this.#slices.length === 0 ? this.#inbox.failure : null;
  }

  /** So many records at most. Null when the inbox was closed, or something else wants attention first. */
  async next(recordsMax: number): Promise<Slice | null> {
    if (this.#slices.length === 0) {
      const run = await this.#inbox.take();
      if (run === null) return null;
      this.#slices.push(...(await this.#slicesOf(run)));
    }
    const next = this.#slices.shift() as Slice;
    return next.records.length <= recordsMax ? next : this.#first(next, recordsMax);
  }

  async #slicesOf(run: FetchedSlice): Promise<readonly Slice[]> {
    const place = run.topic;
    const between = this.#bound.sources.get(place);
    if (between?.isBetween === true) return [sentBetween(run, between.carriesOrigin)];
    if (place !== this.#bound.plan.redrive) return [{ ...run, place, marks: [] }];
    const proven = await this.#checks.proven(run.records);
    const own = run.records.flatMap((raw) => cameBack(raw, this.#bound, proven) ?? []);
    const unproven = own.filter(({ redriven }) => redriven === undefined).length;
    if (unproven > 0) this.#checks.onUnproven(unproven);
    const { isSuperseded } = this.#checks;
    return stretchesOf(
      run,
      own.filter(({ redriven }) => redriven === undefined || !isSuperseded(redriven.order)),
    );
  }

  /** The slice, or the part of it in front of a value that must be waited for, when it can be decoded; the rest comes next. */
  async readable(slice: Slice, learner: Learner): Promise<Slice> {
    const records = await learn(this.#bound, slice, learner);
    return records === slice.records.length ? slice : this.#first(slice, records);
  }

  /** Comes next. */
  putBack(slice: Slice): void {
    this.#slices.unshift(slice);
  }

  #first(slice: Slice, records: number): Slice {
    this.putBack(restOf(slice, records));
    return firstOf(slice, records);
  }
}

/** At least one, so that progress moves past what is passed over. */
function stretchesOf(run: FetchedSlice, own: readonly RawRecord[]): readonly Slice[] {
  const place = run.topic;
  const stretches: RawRecord[][] = [];
  for (const raw of own) {
    const last = stretches.at(-1);
    if (last?.[0]?.topic === raw.topic) last.push(raw);
    else stretches.push([raw]);
  }
  if (stretches.length === 0) return [{ ...run, place, records: [], marks: [] }];
  return stretches.map((records, i): Slice => {
    const topic = (records[0] as RawRecord).topic;
    const next = stretches[i + 1]?.[0];
    const nextOffset = next === undefined ? run.nextOffset : placeOf(next).offset;
    return { ...run, place, topic, records, marks: [], nextOffset };
  });
}

/** The records of another part as they were there, and its markers beside them. */
function sentBetween(run: FetchedSlice, carriesOrigin: boolean): Slice {
  const records: RawRecord[] = [];
  const marks: PlacedMarks[] = [];
  for (const raw of run.records) {
    const found = marksIn(raw);
    if (found !== null) {
      marks.push({ before: records.length, marks: found });
      continue;
    }
    // mistake: age left behind
    const { ageMs, headers } = takenAge(raw.headers);
    if (headers === raw.headers) records.push(raw);
    else records.push({ ...raw, ageMs, ...(carriesOrigin ? takenOrigin(headers) : { headers }) });
  }
  return { ...run, place: run.topic, records, marks };
}

/**
 * The record that had failed, or null when it is none of this part's. What comes from no letter stays the record that it
 * is in the redrive topic: no source has it, so it becomes a letter by itself.
 */
function cameBack(
  raw: RawRecord,
  { plan, part }: BoundPart,
  proven: ReadonlySet<RawRecord>,
): RawRecord | null {
  const named = redriveOrderOf(raw.headers);
  const order = named?.origin.partition === raw.partition ? named : null;
  const reader = order === null ? undefined : readerOf(plan, order.part, order.origin.topic);
  // mistake: redrive without proof
  const isProven = order !== null && proven.has(raw);
  if (!isProven) return (reader ?? firstReader(plan, raw.partition)) === part ? raw : null;
  if (reader !== part) return null;
  const { topic, offset, key, value } = raw;
  const headers = originalHeaders(raw.headers);
  return { ...order.origin, key, value, headers, redriven: { topic, offset, order } };
}

/** A record that names none of the parts that read the partition beside their sources is that of one part alone. */
const firstReader = ({ parts }: Plan, partition: number): Part | undefined =>
  parts.find(({ partitions }) => partition < partitions);

/**
 * Returns how many of the slice's first records may be decoded, in this same turn. Nothing is waited for behind values
 * that can be read: a task that may not read on must be able to work off these.
 */
export async function learn(bound: BoundPart, slice: Slice, learner: Learner): Promise<number> {
  const { schemas } = learner.context;
  if (slice.records[0]?.redriven !== undefined) await lookForRedriven(bound, slice, learner);
  if (schemas.hasLearned) schemas.forgetOld();
  for (;;) {
    const unknown = firstUnknown(bound, slice);
    const end = unknown?.at ?? slice.records.length;
    if (unknown?.at === 0) {
      await recognise(bound, slice.topic, unknown.id, learner);
      continue;
    }
    const ids = unknownIds(bound, slice, end, schemas);
    if (ids.size === 0) return end;
    // A writer's schema may show that a value belongs to none of the sources, so the values are looked at again.
    await patiently(learner, "registry", () => schemas.learn(ids));
  }
}

/**
 * Schema ids in the slice's first records whose writer's schema is not known yet. None, and these may be decoded in this
 * same turn: other tasks share the cache, and in a later turn an answer may be forgotten.
 */
function unknownIds(
  { sources }: BoundPart,
  { topic, records }: Slice,
  end: number,
  schemas: SchemaCache,
): Set<number> {
  if (schemas.unknownUntil.size > 0) schemas.forgetUnknown();
  const codec = sources.get(topic);
  const ids = new Set<number>();
  if (codec === undefined) return ids;
  for (let at = 0; at < end; at++) {
    const { key, value } = records[at] as RawRecord;
    const ofKey = key === null ? null : codec.key.unknownId(key);
    const ofValue = value === null ? null : codec.value.unknownId(value);
    if (ofKey !== null) ids.add(ofKey);
    if (ofValue !== null) ids.add(ofValue);
  }
  return ids;
}

/** Whether its first value must be waited for. */
export const mustWait = (bound: BoundPart, slice: Slice): boolean =>
  firstUnknown(bound, { ...slice, records: slice.records.slice(0, 1) }) !== null;

/** Null when every value can be read. */
function firstUnknown(
  { sources }: BoundPart,
  { topic, records }: Slice,
): { readonly at: number; readonly id: string } | null {
  const codec = sources.get(topic)?.value;
  if (codec?.unknownShape === undefined) return null;
  for (let at = 0; at < records.length; at++) {
    const { value, redriven } = records[at] as RawRecord;
    const id = redriven === undefined ? codec.unknownShape(value) : null;
    if (id !== null) return { at, id };
  }
  return null;
}
