// The structures that one worker's code writes between the parts of a pipeline, and those that it may read. A new one
// is noted in the transaction that writes it, so whoever reads the value finds the note. A value of another
// structure is not read, and not refused either: its task waits until it is known that the code fits it.
import { createHash } from "node:crypto";
import { FOREIGN, SHAPE_CHARS } from "../../core/carried.ts";
import { MillraceError } from "../../core/errors.ts";
import { Mutex } from "../../core/mutex.ts";
import type { Plan } from "../../core/plan.ts";
import type { Clock, Log } from "../../core/ports.ts";
import type { OutRecord, TopicName } from "../../core/record.ts";
import type { Shapes } from "../../core/schema.ts";
import { differences, quickHash, structureOf, type Structure } from "../../core/structure.ts";
import { NoteTail } from "../../notes/notes.ts";
import { shapeNotes, shapeRecord, type ShapeNote } from "../../notes/shape-notes.ts";
import { codesOf, type Codes } from "../../notes/shape-code.ts";

export interface ShapePorts {
  readonly clock: Clock;
  readonly log: Log;
}

/** Structures of one topic that this worker has written. */
interface Own {
  readonly ids: Map<number, string>;
  readonly noted: Set<string>;
}

/** So many structures of one topic are no structures any more: then values are data through and through. */
const SHAPES_MAX = 200;
const VARIED = "varied--";
const LOOK_MS = 1_000;
const FOREIGN_WHY =
  "values lie there that came from a topic that is none of this version's sources";

export class ShapeBook implements Shapes {
  readonly #plan: Plan;
  readonly #ports: ShapePorts;
  readonly #tail: NoteTail;
  readonly #codes: Codes;
  readonly #lock = new Mutex();
  readonly #own = new Map<TopicName, Own>();
  readonly #known = new Map<TopicName, Set<string>>();
  /** Notes that no decided transaction has written yet, by key. */
  readonly unnoted: Map<string, OutRecord> = new Map();
  readonly #mine = new Map<TopicName, Structure[]>();
  #notes: readonly ShapeNote[] = [];

  constructor(plan: Plan, notes: ConstructorParameters<typeof NoteTail>[0], ports: ShapePorts) {
    this.#plan = plan;
    this.#ports = ports;
    this.#tail = new NoteTail(notes, plan.meta);
    this.#codes = codesOf(plan);
  }

  idOf(topic: TopicName, value: unknown): string {
    let own = this.#own.get(topic);
    if (own === undefined) this.#own.set(topic, (own = { ids: new Map(), noted: new Set() }));
    if (own.ids.size > SHAPES_MAX) return VARIED;
    const quick = quickHash(value);
    const id = own.ids.get(quick);
    return id ?? this.#begin(topic, own, quick, value);
  }

  #begin(topic: TopicName, own: Own, quick: number, value: unknown): string {
    const isVaried = own.ids.size === SHAPES_MAX;
    const structure = isVaried ? {} : structureOf(value);
    const text = JSON.stringify(structure);
    const id = isVaried
      ? VARIED
      : createHash("sha256").update(text).digest("hex").slice(0, SHAPE_CHARS);
    own.ids.set(quick, id);
    if (own.noted.has(id)) return id;
    own.noted.add(id);
    const note = { topic, id, code: this.#codes.get(topic) ?? "", structure, isAccepted: false };
    const record = shapeRecord(this.#plan.meta, note);
    this.unnoted.set(String(record.key), record);
    this.#knownOf(topic).add(id);
    if (!isVaried) this.#mine.set(topic, [...(this.#mine.get(topic) ?? []), structure]);
    return id;
  }

  isKnown(topic: TopicName, id: string): boolean {
    return this.#known.get(topic)?.has(id) ?? false;
  }

  #knownOf(topic: TopicName): Set<string> {
    const known = this.#known.get(topic) ?? new Set<string>();
    this.#known.set(topic, known);
    return known;
  }

  /** A transaction with these was decided. */
  decided(records: readonly OutRecord[]): void {
    if (this.unnoted.size === 0) return;
    for (const { topic, key } of records)
      if (topic === this.#plan.meta) this.unnoted.delete(String(key));
  }

  /** Resolves when the code may read such values. Throws with disposition "retry" while Kafka is away. */
  async recognise(
    topic: TopicName,
    id: string,
    signal: AbortSignal,
    onWaiting: (why: string | null) => void,
  ): Promise<void> {
    for (let isReported = false; ; isReported = true) {
      const why = await this.#lock.run(() => this.#whyNot(topic, id));
      if (why === null) {
        if (isReported) onWaiting(null);
        return;
      }
      const error = new MillraceError("MILL_SHAPE_UNKNOWN", `${topic}: ${why}. ${this.#lead()}`);
      onWaiting(error.message);
      const { code } = error;
      if (!isReported) this.#ports.log.error({ topic, code }, `a task waits: ${error.message}`);
      await this.#ports.clock.sleep(LOOK_MS, signal);
    }
  }

  /** Looks once whether the code may read such values: for a letter that comes back, which nobody waits for. */
  async look(topic: TopicName, id: string): Promise<void> {
    await this.#lock.run(() => this.#whyNot(topic, id));
  }

  #lead(): string {
    const { pipeline, runOf } = this.#plan;
    if (runOf !== undefined)
      return `End the run and begin another with the version that wrote it: npx millrace reprocess cancel ${runOf.pipeline} --run ${String(runOf.run)}`;
    return `Let the version that wrote it work it off (npx millrace drain ${pipeline}), or let this one read it as it is: npx millrace resume ${pipeline} --accept-shapes`;
  }

  /** Null when it may be read. */
  async #whyNot(topic: TopicName, id: string): Promise<string | null> {
    if (this.isKnown(topic, id)) return null;
    this.#notes = shapeNotes(await this.#tail.look({ waits: false })).filter(
      (note) => note.topic === topic,
    );
    const code = this.#codes.get(topic);
    const own = this.#notes.filter((note) => note.code === code);
    const noted = this.#notes.find((note) => note.id === id);
    const mine = own
      .filter((note) => !note.isAccepted && note.id !== VARIED)
      .map(({ structure }) => structure);
    const why = own.some((note) => note.id === id)
      ? []
      : this.#compared(id, noted, [...mine, ...(this.#mine.get(topic) ?? [])]);
    if (why.length > 0) return why.slice(0, 3).join(", ");
    this.#knownOf(topic).add(id);
    return null;
  }

  #compared(
    id: string,
    noted: ShapeNote | undefined,
    mine: readonly Structure[],
  ): readonly string[] {
    if (id === FOREIGN) return [FOREIGN_WHY];
    if (noted === undefined || noted.id === VARIED)
      return ["values lie there that another version has made, and nothing says how"];
    if (mine.length === 0)
      return [
        "values lie there that other code has made, and this version has written none to compare",
      ];
    const found = differences(noted.structure, mine);
    return found.length === 0 ? [] : ["values of another structure lie there", ...found];
  }
}
