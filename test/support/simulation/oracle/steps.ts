// What each step makes of a value, and of the state of its key: plain functions, with nothing of the engine.
import type { FlowSpec, Node, SourceRecord } from "../case.ts";
import * as fn from "../values.ts";
import type { Row, Value } from "../values.ts";

/** Steps that only a table uses run in its own part; null when there is more to it. */
export function chainOf(flow: FlowSpec, root: Node): Node[] | null {
  if (flow.sources > 1) return null;
  const chain: Node[] = [];
  let at: Node | undefined = root;
  while (at !== undefined && /^(map|filter|flat|expect|strict)$/.test(at.op)) {
    if (at.then.length > 1) return null;
    chain.push(at);
    at = at.then[0];
  }
  return at?.op === "table" ? [...chain, at] : null;
}

/** Null: refused. */
export function directRows(record: SourceRecord, nodes: readonly Node[]): Row[] | null {
  let values = record.value === null ? [] : [record.value];
  try {
    for (const node of nodes.slice(0, -1))
      values = values.flatMap((one) => stateless(node, one) as Value[]);
  } catch {
    return null;
  }
  return values.map((one) => fn.rowOf(one, record, nodes.at(-1)?.by === 1));
}

export function stateless({ op, by }: Node, value: Value): readonly (Value | undefined)[] {
  if (op === "map") return [fn.map(value, by)];
  if (op === "filter") return fn.passes(value, by) ? [value] : [];
  if (op === "flat") return fn.copies(value, by);
  if (op === "strict") return [fn.strict(value, by)];
  if (op === "split") return [fn.isEven(value) ? fn.doubled(value) : value];
  if (!fn.holds(value, by)) throw new fn.Refused();
  return [value];
}

interface Mean {
  readonly sum: number;
  readonly count: number;
}

type Fold = (before: number | null, n: number) => unknown;

const folds: Readonly<Record<string, Fold>> = {
  count: (before) => (before ?? 0) + 1,
  sum: (before, n) => (before ?? 0) + n,
  min: (before, n) => Math.min(before ?? Infinity, n),
  max: (before, n) => Math.max(before ?? -Infinity, n),
};

/** The next aggregate; null deletes it. */
export function aggregated({ op, by }: Node, old: unknown, value: Value): unknown {
  const n = fn.numberOf(value);
  const fold = folds[op];
  if (fold !== undefined) return fold(old as number | null, n);
  if (op === "reduce") return old === null ? value : fn.reduced(old as Value, value);
  if (op === "aggregate") return fn.add((old ?? 0) as number, value, by);
  const mean = (old ?? { sum: 0, count: 0 }) as Mean;
  return { sum: mean.sum + n, count: mean.count + 1 };
}

export function toldBy({ op }: Node, after: unknown): Value | undefined {
  if (after === null) return undefined;
  if (op === "reduce") return after as Value;
  if (op !== "avg") return fn.wrapped(after as number);
  const { sum, count } = after as Mean;
  return fn.wrapped(sum / count);
}
