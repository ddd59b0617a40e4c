// The operators of windows: each kind of window has one, with its own form of state.
import type { ClosePoint } from "../../../core/close-points.ts";
import type { OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import type { WrongValue } from "../../../core/state.ts";
import { longestMs } from "../../../core/window-span.ts";
import {
  aggregatingWindows,
  isWindowKey,
  type WindowAggregate,
} from "../../../transform/windows/aligned.ts";
import { aggregatingPanes, type HoppingAggregate } from "../../../transform/panes/hopping.ts";
import { wrongOfPanes } from "../../../transform/panes/panes.ts";
import {
  aggregatingCounts,
  wrongCounted,
  type CountAggregate,
} from "../../../transform/windows/counted.ts";
import type { WindowOperation } from "../../../transform/windows/result.ts";
import {
  aggregatingSessions,
  type SessionAggregate,
  wrongSessions,
} from "../../../transform/windows/session.ts";
import { aggregatingSlides, type SlidingAggregate } from "../../../transform/windows/sliding.ts";
import { wrongSlides } from "../../../transform/windows/stored-slides.ts";
import {
  readingCounts,
  readingPanes,
  readingSessions,
  readingSlides,
  readingWindows,
} from "../../../transform/shown/windows.ts";
import type { EntryReader } from "../../../core/state-reader.ts";
import type { AlignedWindow } from "../../../core/window-span.ts";
import { problem } from "../../nodes/problem.ts";
import type { BoundRules } from "../bounds/bounds.ts";
import type { Folding } from "../../folds.ts";
import { shownWindow, storedWindows, type WindowOf } from "../../windows.ts";

/** The changes of windows that are emitted: every one, the last of a window and checkpoint, or each window once. */
export type Emission = WindowOperation["emission"];

/** The operator of a window, and the form of its store. */
export interface WindowShape {
  readonly kind: (
    WindowAggregate | HoppingAggregate | SlidingAggregate | SessionAggregate | CountAggregate
  )["kind"];
  readonly facts: OperatorFacts;
  readonly format: SchemaFormat;
  readonly wrongValue: WrongValue;
  readonly reader: EntryReader;
}

type Windowing = PlanNode["operation"] & Partial<WindowOperation> & { readonly window?: WindowOf };

const shownOf = ({ window }: Windowing): Readonly<Record<string, string>> =>
  window === undefined ? {} : shownWindow(window);

const common: Omit<OperatorFacts, "work"> = {
  changes: true,
  folds: true,
  usesTime: true,
  closes: true,
  ownKeys: true,
  divides: true,
  windows: ({ window }: Windowing) => storedWindows(window as WindowOf),
  details: (operation) => shownOf(operation),
};
const ofFixed: OperatorFacts = { ...common, work: aggregatingWindows };
const ofPanes: OperatorFacts = { ...common, work: aggregatingPanes };
/** No time closes them. */
const ofCount: OperatorFacts = {
  ...{ changes: true, folds: true, divides: true, work: aggregatingCounts },
  comesOut: "in-order",
  windows: ({ window }: Windowing) => storedWindows(window as WindowOf),
  details: (operation) => shownOf(operation),
  problems(node) {
    const { emission } = node.operation as Windowing;
    if (emission !== "checkpoint") return [];
    const detail = 'count windows are emitted at each change or when they are full: emit: "close"';
    return [problem("MILL_BUILD_OPTION", node, detail)];
  },
};
const ofSliding: OperatorFacts = {
  ...common,
  work: aggregatingSlides,
  problems: (node) => unmergeable(node, "sliding windows"),
};
const ofSession: OperatorFacts = {
  ...common,
  work: aggregatingSessions,
  problems: (node) => unmergeable(node, "sessions"),
};

function unmergeable(node: PlanNode, of: string): ReturnType<typeof problem>[] {
  const { merge } = node.operation as Partial<SlidingAggregate>;
  if (merge !== undefined) return [];
  return [problem("MILL_BUILD_OPTION", node, `an aggregate of ${of} needs \`merge\``)];
}

/** An entry of a key, with aggregates among its times: those by a schema of the user's keep it. */
// mistake: windows without the schema of their aggregate
const together = (of: SchemaFormat): SchemaFormat =>
  of.kind === "tagged-json" ? of : { kind: "windows", of };

/** Panes are put together once, at the close: emitted on each change, a window of panes would cost more than one of its own. */
const isOfPanes = (window: WindowOf, emission: Emission): window is AlignedWindow =>
  window.kind === "hopping" && window.advanceMs < window.sizeMs && emission === "close";

/** The build refuses such a window. */
const unmerged = (a: unknown): unknown => a;

const panesShape = (
  window: AlignedWindow,
  merge: NonNullable<Folding["merge"]>,
  { format, wrongValue = () => null }: Folding,
): WindowShape => ({
  ...{ kind: "hopping-window", facts: ofPanes, format: together(format) },
  wrongValue: (key, stored) => wrongOfPanes(key, stored, (value) => wrongValue(key, value)),
  reader: readingPanes(window, merge),
});

export function shapeOf(window: WindowOf, fold: Folding, emission: Emission): WindowShape {
  const { format, merge, wrongValue = () => null } = fold;
  if (merge !== undefined && isOfPanes(window, emission)) return panesShape(window, merge, fold);
  switch (window.kind) {
    case "sliding":
      return {
        ...{ kind: "sliding-window", facts: ofSliding, format: together(format) },
        wrongValue: (key, stored) => wrongSlides(stored, (value) => wrongValue(key, value)),
        reader: readingSlides(window, merge ?? unmerged),
      };
    case "session":
      return {
        ...{ kind: "session-window", facts: ofSession, format: together(format) },
        wrongValue: (key, stored) => wrongSessions(stored, (value) => wrongValue(key, value)),
        reader: readingSessions(window),
      };
    case "count":
      return {
        ...{ kind: "count-window", facts: ofCount, format: together(format) },
        wrongValue: (key, stored) => wrongCounted(stored, (value) => wrongValue(key, value)),
        reader: readingCounts,
      };
    case "tumbling":
    case "hopping":
    case "calendar":
      return {
        ...{ kind: "window", facts: ofFixed, format },
        wrongValue: (key, value) =>
          isWindowKey(key) ? wrongValue(key, value) : "its key names no window",
        reader: readingWindows(window),
      };
  }
}

/** The least bound of a key's open windows: those of one record. A window of other kinds has no bound of its own. */
export const boundRulesOf = (window: WindowOf): BoundRules => {
  const option = "windowsMax";
  switch (window.kind) {
    case "hopping":
      return { option, least: Math.ceil(window.sizeMs / window.advanceMs) };
    case "count":
      return { option, least: Infinity, rules: [] };
    case "tumbling":
    case "calendar":
    case "session":
    case "sliding":
      return { option, least: 1 };
  }
};

/** How far the watermark behind closed windows stays behind the one in front of them. */
export const delayOf = (window: WindowOf): number =>
  window.kind === "count" ? 0 : delayOfClosing(window);

type TimeWindow = Exclude<WindowOf, { readonly kind: "count" }>;

// mistake: delay of a session without its gap
// mistake: delay of sliding windows forgotten
const delayOfClosing = (window: TimeWindow): number =>
  window.kind === "session" ? window.gapMs + window.graceMs : window.graceMs;

/** The records of a session may reach back however far, and so may those of a count window. */
export const reachOf = (window: WindowOf): Pick<OperatorFacts, "reachMs"> =>
  window.kind === "session" || window.kind === "count" ? {} : { reachMs: longestMs(window) };

/** The watermarks at which windows of one size close; others may close at each. */
export const closePointOf = (window: WindowOf): ClosePoint | undefined =>
  window.kind === "tumbling" || window.kind === "hopping"
    ? { everyMs: window.advanceMs, afterMs: window.sizeMs + window.graceMs }
    : undefined;
