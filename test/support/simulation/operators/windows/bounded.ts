// Windows of which a key may have only some open: what passes the bound is a letter, or lets the oldest go ahead of its time.
import { hopping, milliseconds, session, tumbling, type Stream, type WindowOf } from "#engine";
import type { Node } from "../../case.ts";
import { mod, windowed, type Value } from "../../values.ts";

export interface Bounded {
  readonly kind: "tumbling" | "hopping" | "session";
  readonly graceMs: number;
  readonly most: number;
  readonly whenFull: "dead-letter" | "evict";
}

export const SIZE_MS = 1_000;
/** Of hopping windows. */
export const ADVANCE_MS = 500;
export const GAP_MS = 750;

export function boundedIn({ by }: Node): Bounded {
  const kind =
    (["tumbling", "hopping", "session"] as const)[mod(Math.floor(by / 2), 3)] ?? "session";
  return {
    kind,
    graceMs: [750, 3_000, 6_000][mod(by, 3)] ?? 750,
    // A hopping record has two windows.
    most: (kind === "hopping" ? 2 : 1) + mod(Math.floor(by / 6), 3),
    whenFull: mod(Math.floor(by / 18), 2) === 0 ? "evict" : "dead-letter",
  };
}

/** A result's windows begin and end so far behind the watermark. */
export const boundedDelayMs = (node: Node): number => {
  const { kind, graceMs } = boundedIn(node);
  return kind === "session" ? GAP_MS + graceMs : graceMs;
};

function windowOf({ kind, graceMs }: Bounded): WindowOf {
  const [size, grace] = [milliseconds(SIZE_MS), milliseconds(graceMs)];
  if (kind === "tumbling") return tumbling({ size, grace });
  if (kind === "session") return session({ gap: milliseconds(GAP_MS), grace });
  return hopping({ size, advance: milliseconds(ADVANCE_MS), grace });
}

type Values = Stream<string | null, Value>;

/** How many records its windows have, when they close or make room, and what is late. */
export function drawBounded(stream: Values, node: Node): { results: Values; late: Values } {
  const spec = boundedIn(node);
  const counts = stream
    .groupByKey()
    .windowedBy(windowOf(spec))
    .count(node.id, { emit: "close", windowsMax: spec.most, whenFull: spec.whenFull });
  const results = counts.toStream(`${node.id}-rows`, (count, { start }) =>
    windowed(count ?? 0, Number(start)),
  );
  return { results, late: counts.late };
}
