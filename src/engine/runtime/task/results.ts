// Results of state that a step behind cannot take, as records: their letter has them as JSON, with the key of their window, and
// comes back behind the operator that made them. Records that fail when their order comes are the same, and come back to their
// operator.
import { DecodeError, MillraceError } from "../../core/errors.ts";
import type { DecodedRecord, Outcome } from "../../core/outcome.ts";
import type { RawRecord, TopicName } from "../../core/record.ts";
import { listOf } from "../../core/foreign.ts";
import type { NotedShape } from "../../core/schema.ts";
import {
  isGivenUp,
  operatorNamed,
  operatorOfResults,
  placeOfDue,
  sourceOfGivenUp,
  sourceOfResults,
} from "../../core/state-results.ts";
import { decodeFailure, noSource } from "../../decode/failure.ts";
import { taggedJsonCodec } from "../../decode/tagged-json.ts";
import type { FailedDue } from "../../transform/due.ts";
import type { ReturnedEntries } from "../../transform/kept/given-up.ts";
import type {
  DeferredChange,
  KeptResult,
  ReturnedRecords,
  ReturnedResults,
} from "../../transform/operator.ts";
import { shapesOfWaiting, waitedRecords } from "../../transform/process/ordered.ts";
import { withKey } from "../../transform/windows/result.ts";
import type { BoundPart } from "./bind.ts";

const codec = taggedJsonCodec({});

/** The record of a letter; without a value where no result could be made, or none can be written. */
export function resultRecord(
  bound: Pick<BoundPart, "part" | "program">,
  of: FailedDue & ResultPlace,
): RawRecord {
  const { results, partition, at } = of;
  const { id, dueMs } = of.entry.key;
  const name = bound.part.nodes[at]?.name ?? "";
  const [first] = results;
  return {
    topic: sourceOf(name, first),
    ...{ partition, offset: placeOfDue(dueMs), entry: entryOf(first) ?? id },
    timestamp: first?.record.context.timestamp ?? dueMs,
    key: keyOfResults(bound, of),
    value: results.length === 0 ? null : encoded(results.map(({ value }) => value)),
    headers: [],
  };
}

const sourceOf = (operator: string, first: KeptResult | undefined): TopicName =>
  first?.isGivenUp === true
    ? sourceOfGivenUp(operator)
    : sourceOfResults(first?.waitedIn ?? operator);

/** Its own place, where one entry may have several letters. */
const entryOf = (first: KeptResult | undefined): string | undefined =>
  first?.place ?? first?.record.raw.entry;

/** That of the records, also where no result could be made. */
function keyOfResults(
  { program }: Pick<BoundPart, "program">,
  { entry: { key, store }, results, at }: FailedDue & Pick<ResultPlace, "at">,
): Buffer {
  const own = results[0]?.record.raw.key ?? null;
  return own ?? program.operators[at]?.recordKeyOf?.(key, store) ?? key.bytes;
}

/** The place of the operator that made it. */
interface ResultPlace {
  readonly at: number;
  readonly partition: number;
}

/** A result that waited for the checkpoint behind its operator, or in front of one for a call. */
export type WaitingResult = Pick<DeferredChange, "at" | "key" | "record" | "value">;

export function waitingResult(
  { part }: Pick<BoundPart, "part">,
  { at, key: entry, record: { raw, context }, value }: WaitingResult,
): RawRecord {
  const { partition, offset, key } = raw;
  const { timestamp } = context;
  const topic = sourceOfResults(part.nodes[at]?.name ?? "");
  return { topic, partition, offset, timestamp, key, value: encoded([value]), headers: [], entry };
}

function encoded(results: readonly unknown[]): Buffer | null {
  try {
    return codec.encode(results);
  } catch (error) {
    // The form of the value is the fault; what else it may be is no reason to lose the letter.
    if (error instanceof MillraceError) return null;
    throw error;
  }
}

/** The yield of a letter that comes back: results that go on behind their operator, records that enter it; or how it ended already. */
export function returnedResults(bound: BoundPart, raw: RawRecord): DecodedRecord | Outcome {
  const { part, keyOf } = bound;
  const operator = operatorOfResults(raw.topic);
  const at = operatorNamed(part, operator);
  const node = part.nodes[at];
  if (node === undefined) return { kind: "dead-lettered", failure: noSource(raw) };
  try {
    const back = returnedValue(bound, raw, at);
    const unknown = "values" in back ? null : unknownRecord(bound, raw);
    if (unknown !== null) throw new DecodeError("MILL_DECODE_SHAPE", unknown.id);
    const { partition, offset, timestamp, headers } = raw;
    const key = raw.key === null ? null : keyOf(node, raw.key);
    const context = { key, timestamp, topic: operator ?? "", partition, offset, headers };
    const value =
      "values" in back
        ? { ...back, values: back.values.map((one) => withKey(node, one, key)) }
        : back;
    return { raw, value, context, originMs: timestamp };
  } catch (error) {
    return { kind: "dead-lettered", failure: decodeFailure(error, raw, "value") };
  }
}

function returnedValue(
  { part, program }: BoundPart,
  raw: RawRecord,
  at: number,
): ReturnedResults | ReturnedRecords | ReturnedEntries {
  const values = codec.decode(raw.value) as readonly unknown[];
  if (!isGivenUp(raw)) {
    const isResult = part.nodes[at]?.name === operatorOfResults(raw.topic);
    return isResult ? { at, values } : { at, records: waitedRecords(values) };
  }
  const check = program.operators[at]?.givenUp?.check;
  const why =
    check === undefined ? "its operator takes no entries back" : listOf(check)(values, "it");
  if (why !== null) throw new DecodeError("MILL_DECODE_JSON", why);
  return { at, entries: values };
}

/** A structure of which it is not known whether the code fits it, among the records of a letter that have waited. */
export function unknownRecord(
  bound: Pick<BoundPart, "part" | "program" | "shapes">,
  raw: Pick<RawRecord, "topic" | "value">,
): NotedShape | null {
  const { shapes } = bound;
  if (shapes === null) return null;
  return shapesIn(bound, raw).find(({ notedUnder, id }) => !shapes.isKnown(notedUnder, id)) ?? null;
}

/** None where the bytes cannot be read, which is said when they are. */
function shapesIn(
  { part, program }: Pick<BoundPart, "part" | "program">,
  { topic, value }: Pick<RawRecord, "topic" | "value">,
): readonly NotedShape[] {
  const store = operatorOfResults(topic) ?? "";
  try {
    const values = codec.decode(value);
    if (!isGivenUp({ topic }))
      return shapesOfWaiting(values).map((id) => ({ notedUnder: store, id }));
    const form = program.operators[operatorNamed(part, store)]?.givenUp;
    if (form === undefined || listOf(form.check)(values, "it") !== null) return [];
    return (values as readonly unknown[]).flatMap((one) => form.shapeOf(one) ?? []);
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}
