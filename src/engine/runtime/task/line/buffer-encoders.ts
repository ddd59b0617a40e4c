// Writers of the values that a join keeps: each side as a topic between parts carries it.
import type { PlanNode, PlanTopic } from "../../../core/plan.ts";
import type { Cursor } from "../../../transform/operator.ts";

/** A value, or the bytes that it came with. */
export type BytesOf = (value: unknown, cursor: Cursor) => Buffer | null;

/** Left and right. Bytes that came with their record are a slice of its fetch, which would stay alive whole: they are copied. */
export function bufferEncodersOf(
  { operation: { store } }: PlanNode,
  writerOf: (topic: PlanTopic) => BytesOf,
): readonly ((value: unknown, cursor: Cursor) => Buffer)[] {
  if (store?.changelog.value.kind !== "join-buffer") return [];
  const { changelog } = store;
  return store.changelog.value.sides.map((side) => {
    const bytesOf = writerOf({ ...changelog, value: side });
    return (value, cursor) => Buffer.from(bytesOf(value, cursor) ?? Buffer.of());
  });
}
