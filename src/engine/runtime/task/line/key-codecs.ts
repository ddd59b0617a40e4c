// The codecs of the keys in front of each node, and the schemas that keys of entries need to be read.
import { assert } from "../../../core/errors.ts";
import type { Part, PlanNode } from "../../../core/plan.ts";
import type { Codec } from "../../../core/schema.ts";
import { sourceAbove } from "../../../core/state-results.ts";
import type { Program } from "../../../transform/program.ts";
import type { BoundPart } from "../bind.ts";

type KeyCodecOf = (node: PlanNode) => Codec;

/** Keys of several sources of one part are of one form. */
export function keyCodecsOf(part: Part, sources: BoundPart["sources"]): KeyCodecOf {
  const codecs = new Map<PlanNode, Codec>();
  return (node) => {
    const codec = codecs.get(node) ?? sources.get(sourceAbove(part, node)?.name ?? "")?.key;
    assert(codec !== undefined, `${node.name} hangs behind nothing`);
    codecs.set(node, codec);
    return codec;
  };
}

/** An entry outlives the worker that has learnt the schema of its key. */
export const unknownKeysOf =
  ({ nodes }: Part, { operators }: Program, keyCodecOf: KeyCodecOf): BoundPart["unknownKeyIds"] =>
  (store, keys) => {
    const operator = operators.find((one) => one?.stores.includes(store));
    const ids = keys.map((key) => {
      const bytes = operator?.recordKeyOf?.(key, store) ?? null;
      return bytes && keyCodecOf(nodes[operator?.at ?? 0] as PlanNode).unknownId(bytes);
    });
    return new Set(ids.filter((id) => id !== null));
  };
