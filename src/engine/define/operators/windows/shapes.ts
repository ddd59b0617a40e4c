// The operators of windows: each kind of window has one, with its own form of state.
import type { OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import type { WrongValue } from "../../../core/state.ts";
import {
  aggregatingWindows,
  isWindowKey,
  type WindowAggregate,
} from "../../../transform/windows/aligned.ts";
import { wrongTimed, type WindowOperation } from "../../../transform/windows/result.ts";
import { aggregatingSessions, type SessionAggregate } from "../../../transform/windows/session.ts";
import {
  aggregatingSlides,
  wrongSlides,
  type SlidingAggregate,
} from "../../../transform/windows/sliding.ts";
import { problem } from "../../nodes/problem.ts";
import type { Folding } from "../../folds.ts";
import { shownWindow, type WindowOf } from "../../windows.ts";

/** The operator of a window, and the form of its store. */
export interface WindowShape {
  readonly kind: (WindowAggregate | SlidingAggregate | SessionAggregate)["kind"];
  readonly facts: OperatorFacts;
  readonly format: SchemaFormat;
  readonly wrongValue: WrongValue;
}

type Windowing = PlanNode["operation"] & Partial<WindowOperation> & { readonly window?: WindowOf };

const common: Omit<OperatorFacts, "work"> = {
  changes: true,
  folds: true,
  usesTime: true,
  closes: true,
  ownKeys: true,
  divides: true,
  details: ({ window }: Windowing) => (window === undefined ? {} : shownWindow(window)),
};
const ofFixed: OperatorFacts = { ...common, work: aggregatingWindows };
const ofSliding: OperatorFacts = {
  ...common,
  work: aggregatingSlides,
  problems: (node) => unmergeable(node, "sliding windows"),
};
const ofSession: OperatorFacts = {
  ...common,
  work: aggregatingSessions,
  problems(node) {
    const { emission } = node.operation as Windowing;
    const problems = unmergeable(node, "sessions");
    if (emission === "close") return problems;
    const detail = 'sessions are emitted when they are closed: emit: "close"';
    return [...problems, problem("MILL_BUILD_OPTION", node, detail)];
  },
};

function unmergeable(node: PlanNode, of: string): ReturnType<typeof problem>[] {
  const { merge } = node.operation as Partial<SlidingAggregate>;
  if (merge !== undefined) return [];
  return [problem("MILL_BUILD_OPTION", node, `an aggregate of ${of} needs \`merge\``)];
}

/** An entry of a key, with aggregates among its times. */
const together: SchemaFormat = { kind: "tagged-json" };

export function shapeOf(
  { kind }: WindowOf,
  { format, wrongValue = () => null }: Folding,
): WindowShape {
  switch (kind) {
    case "sliding":
      return {
        ...{ kind: "sliding-window", facts: ofSliding, format: together },
        wrongValue: (key, stored) => wrongSlides(stored, (value) => wrongValue(key, value)),
      };
    case "session":
      return {
        ...{ kind: "session-window", facts: ofSession, format: together },
        wrongValue: (key, stored) => wrongTimed(stored, (value) => wrongValue(key, value)),
      };
    case "tumbling":
    case "hopping":
    case "calendar":
      return {
        ...{ kind: "window", facts: ofFixed, format },
        wrongValue: (key, value) =>
          isWindowKey(key) ? wrongValue(key, value) : "its key names no window",
      };
  }
}

/** How far the watermark behind closed windows stays behind the one in front of them. */
export const delayOf = (window: WindowOf): number =>
  window.kind === "session" ? window.gapMs + window.graceMs : window.graceMs;
