// An operator says that the code as it is deployed may read what lies between the parts of a pipeline, whatever its structure:
// a note for each structure that is there, and for each way in which values may have come. Workers that wait look there.
import { sendOnce } from "../../core/send-once.ts";
import { AS_AVRO, FOREIGN, fromTopic } from "../../core/carried.ts";
import type { Plan } from "../../core/plan.ts";
import type { SchemaFormat } from "../../core/schema.ts";
import { readNotes } from "../../notes/notes.ts";
import { codesOf } from "../../notes/shape-code.ts";
import { shapeNotes, shapeRecord, type ShapeNote } from "../../notes/shape-notes.ts";
import type { OperatePorts } from "../choice.ts";

/** The notes of what this version may read from now on and could not before. */
export async function acceptShapes(
  plan: Plan,
  ports: OperatePorts,
  isDry: boolean,
): Promise<readonly ShapeNote[]> {
  const noted = shapeNotes(await readNotes(ports, plan.meta));
  const fresh: ShapeNote[] = [];
  for (const [topic, code] of codesOf(plan)) {
    const own = noted.filter((note) => note.topic === topic);
    const mine = new Set(own.filter((note) => note.code === code).map(({ id }) => id));
    const others = [...own, ...raw(plan, topic)].filter(({ id }) => !mine.has(id));
    for (const [id, structure] of new Map(others.map((note) => [note.id, note.structure])))
      fresh.push({ topic, id, code, structure, isAccepted: true });
  }
  if (isDry || fresh.length === 0) return fresh;
  const records = fresh.map((note) => shapeRecord(plan.meta, note));
  await sendOnce(ports.kafka, records);
  return fresh;
}

/** Values as they came from a topic, where this code reads what a step has made; and those of topics that are no sources now. */
function raw(plan: Plan, topic: string): Pick<ShapeNote, "id" | "structure">[] {
  const format = formatNoted(plan, topic);
  if (format?.kind !== "carried") return [];
  const came = [AS_AVRO, ...format.origins.map((origin) => fromTopic(origin))];
  const ids = format.writes === "tagged" ? [...came, FOREIGN] : [FOREIGN];
  return ids.map((id) => ({ id, structure: {} }));
}

/** The format of the values whose structures are noted under a name: of a topic, or of a side of a join. */
function formatNoted({ topics, parts }: Plan, name: string): SchemaFormat | undefined {
  const sides = parts.flatMap(({ stores }) =>
    stores.flatMap(({ changelog: { value } }) => (value.kind === "join-buffer" ? value.sides : [])),
  );
  const topic = topics.all.find((one) => one.name === name);
  return topic?.value ?? sides.find(({ shapes }) => shapes === name);
}
