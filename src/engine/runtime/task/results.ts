// Results of state that a step behind cannot take, as records: their letter has them as JSON, with the key of their window, and
// comes back behind the operator that made them.
import { MillraceError } from "../../core/errors.ts";
import type { DecodedRecord, Outcome } from "../../core/outcome.ts";
import type { RawRecord } from "../../core/record.ts";
import {
  operatorNamed,
  operatorOfResults,
  placeOfDue,
  sourceOfResults,
} from "../../core/state-results.ts";
import { decodeFailure, noSource } from "../../decode/failure.ts";
import { taggedJsonCodec } from "../../decode/tagged-json.ts";
import type { FailedDue } from "../../transform/due.ts";
import type { DeferredChange, ReturnedResults } from "../../transform/operator.ts";
import type { BoundPart } from "./bind.ts";

const codec = taggedJsonCodec({});

/** The record of a letter; without a value where no result could be made, or none can be written. */
export function resultRecord(
  { part }: Pick<BoundPart, "part">,
  { entry: { key }, at, results, partition }: FailedDue & ResultPlace,
): RawRecord {
  const { id, bytes, dueMs } = key;
  const [first] = results;
  const name = part.nodes[at]?.name ?? "";
  return {
    ...{ topic: sourceOfResults(name), partition, offset: placeOfDue(dueMs), entry: id },
    timestamp: first?.record.context.timestamp ?? dueMs,
    key: first?.record.raw.key ?? bytes,
    value: results.length === 0 ? null : encoded(results.map(({ value }) => value)),
    headers: [],
  };
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

/** The results of a letter that comes back, which go on behind their operator; or how they ended already. */
export function returnedResults(
  { part, keyOf }: BoundPart,
  raw: RawRecord,
): DecodedRecord | Outcome {
  const operator = operatorOfResults(raw.topic);
  const at = operatorNamed(part, operator);
  const node = part.nodes[at];
  if (node === undefined) return { kind: "dead-lettered", failure: noSource(raw) };
  try {
    const values = codec.decode(raw.value) as readonly unknown[];
    const { partition, offset, timestamp, headers } = raw;
    const key = raw.key === null ? null : keyOf(node, raw.key);
    const context = { key, timestamp, topic: operator ?? "", partition, offset, headers };
    const value: ReturnedResults = { at, values };
    return { raw, value, context, originMs: timestamp };
  } catch (error) {
    return { kind: "dead-lettered", failure: decodeFailure(error, raw, "value") };
  }
}
