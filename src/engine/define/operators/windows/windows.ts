// Windows of event time, as a pipeline declares them.
import type { AlignedWindow } from "../../../core/window-span.ts";
import { ConfigError } from "../../../core/errors.ts";
import type { Duration } from "../../../core/span.ts";

/** A window: make one with {@link tumbling} or {@link hopping}. */
export type WindowOf = AlignedWindow;

export interface TumblingOptions {
  readonly size: Duration;
  /** How long after its end a window still takes records that come late; 0 or more, and never a default. */
  readonly grace: Duration;
}

export interface HoppingOptions extends TumblingOptions {
  /** The distance between two starts, at most the size. */
  readonly advance: Duration;
}

/**
 * Windows of one size, one behind the other, aligned to the epoch: [start, start + size). A window closes when no record is
 * expected any more whose time lies in it: once the watermark has passed its end by the grace.
 * @throws ConfigError MILL_BUILD_OPTION for a size of 0, or one that is no whole number of ms.
 * @example
 * from(views).groupByKey().windowedBy(tumbling({ size: minutes(5), grace: minutes(1) })).count("views", { emit: "close" });
 */
export function tumbling({ size, grace }: TumblingOptions): WindowOf {
  return aligned("tumbling", { size, advance: size, grace });
}

/**
 * Windows of one size that overlap: one begins every `advance`, and a record belongs to each that its time lies in.
 * @throws ConfigError MILL_BUILD_OPTION as `tumbling` does, and for an advance of 0, or above the size.
 * @example
 * from(views).groupByKey().windowedBy(hopping({ size: hours(1), advance: minutes(5), grace: minutes(1) })).count("busy-hours");
 */
export function hopping(options: HoppingOptions): WindowOf {
  return aligned("hopping", options);
}

function aligned(kind: WindowOf["kind"], { size, advance, grace }: HoppingOptions): WindowOf {
  const [sizeMs, advanceMs, graceMs] = [
    whole(kind, "size", size),
    whole(kind, "advance", advance),
    whole(kind, "grace", grace),
  ];
  if (sizeMs === 0) throw refused(kind, "its size must be above 0");
  if (advanceMs === 0 || advanceMs > sizeMs)
    throw refused(kind, "its advance must be above 0 and at most its size");
  return Object.freeze({ kind, sizeMs, advanceMs, graceMs });
}

function whole(kind: string, option: string, span: Duration | undefined): number {
  // Types are stripped at run time: what is left out must still be a clear problem.
  const ms: unknown = span?.ms;
  if (Number.isSafeInteger(ms) && (ms as number) >= 0) return ms as number;
  throw refused(kind, `it needs ${option}, a whole number of ms: minutes(5)`);
}

const refused = (kind: string, detail: string): ConfigError =>
  new ConfigError("MILL_BUILD_OPTION", `${kind}: ${detail}`);
