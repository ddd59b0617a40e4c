// Structures of the values that the code of a pipeline has written between its parts, as notes in `<pipeline>-meta`: by the
// topic, the id of the structure, and the code that wrote it. A version reads what its own code has written, and what is
// made as that is; an operator may let it read more.
import { parseKnown } from "../core/foreign.ts";
import type { OutRecord, TopicName } from "../core/record.ts";
import type { Structure } from "../core/structure.ts";
import type { Notes } from "./faults.ts";
import { noteChecks } from "./kinds.ts";
import { noteRecord } from "./notes.ts";

export interface ShapeNote {
  readonly topic: TopicName;
  readonly id: string;
  /** Names the code: its own, and what it calls. */
  readonly code: string;
  readonly structure: Structure;
  /** An operator has said that the code may read it. */
  readonly isAccepted: boolean;
}

const SHAPE = "shape/";

export const shapeRecord = (meta: TopicName, note: ShapeNote): OutRecord => {
  const { topic, id, code, structure, isAccepted } = note;
  const text = JSON.stringify({ structure, ...(isAccepted ? { isAccepted } : {}) });
  return noteRecord(meta, `${SHAPE}${topic}/${id}/${code}`, text);
};

export function shapeNotes(notes: Notes): ShapeNote[] {
  return [...notes].flatMap(([key, text]) => {
    if (!key.startsWith(SHAPE)) return [];
    const [topic = "", id = "", code = ""] = key.slice(SHAPE.length).split("/");
    const { structure, isAccepted = false } = parseKnown<{
      structure: Structure;
      isAccepted?: boolean;
    }>(text, noteChecks.shape);
    return [{ topic, id, code, structure, isAccepted }];
  });
}
