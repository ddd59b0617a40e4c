// `--to` of `offsets reset`, from text to a target.
import { readFileSync } from "node:fs";
import { MillraceError, messageOf } from "../engine/core/errors.ts";
import type { StartOffset } from "../engine/core/kafka.ts";
import type { ResetTarget } from "../engine/operate/targets.ts";
import { timeOption, usage, wrongOption } from "./option-values.ts";

const PLACES =
  "earliest, latest, offset:N, duration:PT1H, shift:-N, shift:+N, group:NAME, file:PATH";

/** `now` is for durations, which count back from it. */
export function targetOf(text: string, now: number): ResetTarget {
  if (text === "earliest" || text === "latest") return { kind: text };
  const [, kind, value = ""] = /^(offset|time|duration|shift|group|file):(.+)$/.exec(text) ?? [];
  switch (kind) {
    case "offset":
      return { kind: "offset", offset: wholeOf(value, /^\d{1,18}$/) };
    case "time":
      return { kind: "time", epochMs: timeOption("--to", value, PLACES) };
    case "duration":
      return { kind: "time", epochMs: now - durationMs(value) };
    case "shift":
      return { kind: "shift", by: wholeOf(value, /^[+-]\d{1,18}$/) };
    case "group":
      return { kind: "group", group: value };
    case "file":
      return { kind: "listed", offsets: offsetsIn(value) };
    case undefined:
    default:
      return { kind: "time", epochMs: timeOption("--to", text, PLACES) };
  }
}

function wholeOf(text: string, shape: RegExp): bigint {
  if (!shape.test(text)) throw wrongOption("--to", PLACES, text);
  return BigInt(text.replace(/^\+/, ""));
}

const DURATION = /^P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;
const UNITS_MS = [604_800_000, 86_400_000, 3_600_000, 60_000, 1_000];

/** ISO 8601 without months and years, whose length nobody knows. */
function durationMs(text: string): number {
  const found = DURATION.exec(text);
  if (found === null) throw wrongOption("--to", "a duration such as PT1H or P2DT30M", text);
  return UNITS_MS.reduce((sum, unitMs, i) => sum + unitMs * Number(found[i + 1] ?? 0), 0);
}

/** Lines `topic,partition,offset`; empty ones and a header of these names are skipped. */
function offsetsIn(path: string): readonly StartOffset[] {
  const lines = textOf(path).split(/\r?\n/);
  return lines.flatMap((line, i) => {
    if (line.trim() === "" || line.trim() === "topic,partition,offset") return [];
    const [, topic, partition, offset] = /^\s*([^\s,]+),(\d{1,9}),(\d{1,18})\s*$/.exec(line) ?? [];
    if (topic === undefined || partition === undefined || offset === undefined)
      throw usage(`--to: ${path}:${String(i + 1)}: expected topic,partition,offset`);
    return [{ topic, partition: Number(partition), nextOffset: BigInt(offset) }];
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new MillraceError("MILL_NOT_FOUND", messageOf(error), { cause: error });
  }
}
