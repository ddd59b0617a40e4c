// The codecs of a part's stores. What waits in them as records has structures, of which it must be known that the code fits them.
import { storesOf, type Part } from "../../../core/plan.ts";
import type { NotedShape } from "../../../core/schema.ts";
import { entryCodec, type EntryCodec } from "../../../state/entry-codec.ts";
import { shapesOfWaiting } from "../../../transform/process/ordered.ts";
import type { ShapeBook } from "../../shapes/book.ts";
import type { CodecOf } from "../bind.ts";

export const entryCodecsOf = (
  { stores, nodes }: Part,
  codec: CodecOf,
  shapes: ShapeBook | null,
): Map<string, EntryCodec> =>
  new Map(
    stores.map(({ name, changelog, keepsRecords, ...others }) => {
      const rules =
        keepsRecords === true && shapes !== null
          ? { ...others, unknownShape: (entry: unknown) => unknownIn(name, entry, shapes) }
          : others;
      const users = nodes.filter(({ operation }) =>
        storesOf(operation).some((store) => store.name === name),
      );
      const label = `store ${name} of ${users.map((node) => node.name).join(", ")}`;
      return [name, entryCodec(codec(changelog, "value"), label, rules)];
    }),
  );

/** A structure that is not known yet, among the records that wait in an entry. */
function unknownIn(store: string, entry: unknown, shapes: ShapeBook): NotedShape | null {
  const ids = shapesOfWaiting(entry);
  const id = ids.find((one) => !shapes.isKnown(store, one));
  return id === undefined ? null : { notedUnder: store, id };
}
