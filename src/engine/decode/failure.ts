// A record that could not be read, as its letter describes it: the error of a codec or of the topic's timestamp function, or a
// topic that the part does not read.
import { entryOf } from "../core/error-table.ts";
import { DecodeError, MillraceError } from "../core/errors.ts";
import type { Failure } from "../core/outcome.ts";
import type { RawRecord } from "../core/record.ts";

/** A letter of a topic that the part has ceased to read, or a record of the redrive topic that is no letter's. */
export function noSource({ topic, redriven }: RawRecord): Failure {
  const code = redriven === undefined ? "MILL_REDRIVE_UNPROVEN" : "MILL_REDRIVE_NO_SOURCE";
  const { message } = entryOf(code);
  return { class: "decode", stage: "decode", step: topic, rule: null, code, message };
}

export type RecordSide = "key" | "value";

/** An error without a code of ours comes from the topic's own timestamp function. */
export function decodeFailure(error: unknown, raw: RawRecord, side: RecordSide): Failure {
  const isOurs = error instanceof MillraceError;
  const isSchema = isOurs && error.code === "MILL_DECODE_SCHEMA";
  const { code, message } = isOurs ? ofSide(error, raw, side) : THREW;
  return {
    class: !isOurs ? "transform" : isSchema ? "schema" : "decode",
    stage: "decode",
    step: raw.topic,
    rule: null,
    code,
    message,
  };
}

const THREW = { code: "MILL_TRANSFORM_THREW", message: "the topic's timestamp function threw" };

/** Codecs do not know which side of a record they read. */
function ofSide(
  error: MillraceError,
  raw: RawRecord,
  side: RecordSide,
): Pick<Failure, "code" | "message"> {
  if (side === "value") return error;
  if (raw.key === null) return new DecodeError("MILL_DECODE_NO_KEY", "");
  return { code: error.code, message: `the key: ${error.message.replace(/^the value /, "it ")}` };
}
