// A way in which one topic refuses records, and how many letters have come of it.
import type { Random } from "../../../src/engine/core/ports.ts";
import { flowTopics, type FlowTopics } from "../workload/fates.ts";
import { factOf } from "../workload/letters.ts";
import type { Special } from "../workload/traffic.ts";
import type { World } from "../world/world.ts";

/** Settings by topic. */
export type Settings = readonly (readonly [
  topic: string,
  config: Readonly<Record<string, string>>,
])[];

/** A way in which one topic refuses some records. */
export interface Refusal {
  readonly name: string;
  settings(topics: FlowTopics): Settings;
  /** The records of one strike, in order; those that are refused are among good ones. */
  specials(random: Random): readonly Special[];
  /** How many letters of this kind there are by now. */
  letters(world: World): Promise<number>;
  /** The topic takes these letters in no form, until it is as it was: the one that workers name as the reason why they wait. */
  stuckAt?(topics: FlowTopics): string;
}

export const inLedger =
  (pipeline: "checking" | "summing", part: string, letterClass: "sink" | "size") =>
  async (world: World): Promise<number> =>
    (await world[pipeline].ledger(part))["dead-lettered"][letterClass] ?? 0;

/** Letters of a topic that are pointers, or of tables, each once. */
export const inTopic =
  (topic: "letters" | "lettersOfSums", form: "pointer" | "of-table") =>
  async (world: World): Promise<number> => {
    const found = (await world.checking.raw(flowTopics(world)[topic])).filter((letter) =>
      form === "pointer" ? factOf(letter, "pointer") !== "" : factOf(letter, "stage") === "sink",
    );
    return new Set(found.map((letter) => factOf(letter, "id"))).size;
  };
