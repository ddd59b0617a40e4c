// Refusals by brokers of one part's work, by the place of the source record: when the task meets the record again, it
// is a dead letter. Only memory: after a restart it is found again. Bounded, and forgotten when progress has passed.
import { OutputRefusedError, type RefusedRecord } from "../../core/errors.ts";
import type { Progress } from "../../core/kafka.ts";
import type { LetterOrigin } from "../../letters/letter.ts";
import { placeOf, type RawRecord, type TopicName } from "../../core/record.ts";

/**
 * output: what it writes to a topic · effect: a change of state, or the result of one at a checkpoint · letter: its dead
 * letter, as a whole.
 */
export type RefusedKind = "output" | "effect" | "letter";

export interface RefusedSource {
  readonly raw: RawRecord;
  readonly kind: RefusedKind;
  readonly refused: RefusedRecord;
}

interface KnownRefusal {
  readonly topic: TopicName;
  readonly partition: number;
  readonly offset: bigint;
  readonly refused: RefusedRecord;
  /** Its progress was committed before: it waited in state, and progress says nothing of it. */
  readonly isBehind: boolean;
}

const KNOWN_MAX = 10_000;

export class Refusals {
  /** Checked for each record, so that nothing else is where nothing was refused. */
  size = 0;
  readonly #known = new Map<string, KnownRefusal>();

  /** `committed` is the progress of the record's topic. */
  note({ raw, kind, refused }: RefusedSource, committed: bigint): void {
    const { topic, offset } = placeOf(raw);
    const isBehind = offset < committed;
    const { partition } = raw;
    this.#known.set(nameOf(raw, kind), { topic, partition, offset, refused, isBehind });
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    this.size = this.#known.size;
  }

  has(raw: RawRecord, kind: RefusedKind): boolean {
    return this.size > 0 && this.#known.has(nameOf(raw, kind));
  }

  /** A letter that was refused as a whole goes as pointer and hash. */
  letterOrigin(raw: RawRecord, origin: LetterOrigin): LetterOrigin {
    // mistake: refused letter whole
    return this.has(raw, "letter") ? { ...origin, bytesMax: 0 } : origin;
  }

  /** Throws when what the record writes to the topic was refused. */
  checkOutput(raw: RawRecord, topic: TopicName): void {
    const refused = this.#known.get(nameOf(raw, "output"))?.refused;
    if (refused?.topic === topic) throw new OutputRefusedError(refused);
  }

  /** Throws when a change by the record was refused. */
  checkEffect(raw: RawRecord): void {
    const refused = this.#known.get(nameOf(raw, "effect"))?.refused;
    if (refused !== undefined) throw new OutputRefusedError(refused);
  }

  /** A checkpoint with this progress was decided. */
  settle(progress: readonly Progress[]): void {
    if (this.size === 0) return;
    for (const [name, { topic, partition, offset, isBehind }] of this.#known) {
      const passed = progress.some(
        (at) => at.topic === topic && at.partition === partition && offset < at.nextOffset,
      );
      if (passed && !isBehind) this.#known.delete(name);
    }
    this.size = this.#known.size;
  }
}

function nameOf(raw: RawRecord, kind: RefusedKind): string {
  const { topic, offset } = placeOf(raw);
  const entry = raw.entry === undefined ? "" : ` ${raw.entry}`;
  return `${kind} ${topic}/${String(raw.partition)}/${String(offset)}${entry}`;
}
