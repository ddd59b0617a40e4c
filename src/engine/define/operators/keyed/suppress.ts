// suppress: of a table's changes of one key within a span, the last.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { Duration, RecordCount } from "../../../core/span.ts";
import { suppressing, wrongWaiting, type Suppress } from "../../../transform/keyed/suppress.ts";
import { readingSuppressed } from "../../../transform/shown/waiting.ts";
import { problem } from "../../nodes/problem.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { storeOf } from "../../store.ts";

export interface SuppressOptions {
  /** From the first change of a key on, in event time. */
  readonly for: Duration;
  /** Keys that wait in one task (a part on one partition) at most: `records(10_000)`. */
  readonly recordsMax: RecordCount;
  /** The rule for one key more: the key whose span is the oldest goes on at once, or the task stops in front of the change. */
  readonly whenFull: Suppress["whenFull"];
}

const facts: Omit<OperatorFacts, "delayMs"> = {
  work: suppressing,
  ownKeys: true,
  changes: true,
  usesTime: true,
  closes: true,
  comesOut: ["final", "of the changes of a key within a span the last goes on"],
  anyOrder: true,
  problems(node) {
    const { spanMs, keysMax, whenFull } = node.operation as Suppress;
    const details = [
      ...(Number.isSafeInteger(spanMs) && spanMs > 0 ? [] : ["it needs `for`, whole ms above 0"]),
      ...(Number.isSafeInteger(keysMax) && keysMax > 0
        ? []
        : ["it needs recordsMax, 1 or more: records(10_000)"]),
      ...(RULES.includes(whenFull) ? [] : ['expected whenFull: "emit" or "halt"']),
    ];
    return details.map((detail) => problem("MILL_BUILD_OPTION", node, detail));
  },
  details(operation) {
    const { spanMs, keysMax, whenFull } = operation as Suppress;
    return { for: `${String(spanMs)} ms`, keysMax: String(keysMax), whenFull };
  },
};
const RULES: readonly unknown[] = ["emit", "halt"];

/** The changes behind it. Types are stripped at run time: what is missing is a problem of the node. */
export function suppressed<K, V>(
  changes: StreamPlace<K, V>,
  name: string,
  { for: span, recordsMax, whenFull }: SuppressOptions,
): StreamPlace<K, V> {
  const rules = { dueOfUndated: () => null, wrongValue: wrongWaiting, reader: readingSuppressed };
  const store = storeOf(name, { kind: "tagged-json" }, rules);
  const { ms: spanMs } = { ms: NaN, ...(span as Duration | undefined) };
  const { records: keysMax } = { records: NaN, ...(recordsMax as RecordCount | undefined) };
  const operation: Suppress = { kind: "suppress", store, spanMs, keysMax, whenFull };
  // mistake: delay of suppress forgotten
  return changes.next(name, operation, { ...facts, delayMs: spanMs });
}
