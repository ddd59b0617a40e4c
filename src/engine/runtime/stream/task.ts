// A stream task: one part on one partition, from takeover to revocation. It takes runs from its inbox, processes them
// into its stage, and hands the stage over when a checkpoint asks. It never writes.
import type { StagedTask } from "../../checkpoint/commit.ts";
import { assert, type MillraceError } from "../../core/errors.ts";
import type { GroupGeneration, Progress, RecordBatch } from "../../core/kafka.ts";
import { addLedger, emptyLedger, type LedgerCounts } from "../../core/ledger.ts";
import { encodeMetadata } from "../../core/metadata.ts";
import { countOutcome, type Outcome, type Stage } from "../../core/outcome.ts";
import type { OutRecord, RawRecord, TopicName } from "../../core/record.ts";
import type { TaskAddress } from "../../observe/health.ts";
import { letterOf, type LetterOrigin } from "../../sinks/letter.ts";
import { Inbox, type Run, type Valve } from "../../source/inbox.ts";
import type { TakenOver } from "../../source/takeover.ts";
import { emptyStage, type BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { persist } from "../failure.ts";
import { processRun, unknownIds } from "../line/process.ts";

/** A stage that a checkpoint took: what to write, and what to publish when it is written. */
export interface TaskCheckpoint extends StagedTask {
  readonly task: StreamTask;
  readonly records: number;
  /** What this checkpoint adds to the ledger. */
  readonly delta: LedgerCounts;
}

export interface StreamTaskOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly partition: number;
  readonly generation: GroupGeneration;
  readonly starts: readonly TakenOver[];
  readonly valve: Valve;
  readonly letters: LetterOrigin;
  /** Told how many records were staged. */
  note(records: number): void;
}

interface Place {
  nextOffset: bigint;
  /** Taken by a checkpoint that may still fail. */
  staged: bigint;
  /** Decided. */
  committed: bigint;
  readonly ledger: LedgerCounts;
}

export class StreamTask {
  readonly partition: number;
  readonly #options: StreamTaskOptions;
  readonly #inbox: Inbox;
  readonly #places: Map<TopicName, Place>;
  readonly #life = new AbortController();
  #stage: Stage = emptyStage();
  #letters: OutRecord[] = [];
  #delta: LedgerCounts = emptyLedger();
  #oldestMs: number | null = null;
  #roomAgain: (() => void) | null = null;
  #waitingFor: string | null = null;

  constructor(options: StreamTaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    const { inboxBytesMax, runRecordsMax } = options.context.limits;
    const limits = { bytesMax: inboxBytesMax, runRecordsMax };
    this.#inbox = new Inbox(options.starts, limits, options.valve);
    this.#places = new Map(
      options.starts.map(({ topic, nextOffset, ledger }) => [
        topic,
        {
          nextOffset,
          staged: nextOffset,
          committed: nextOffset,
          ledger: addLedger(emptyLedger(), ledger),
        },
      ]),
    );
  }

  /** Names the task in metrics. */
  get address(): TaskAddress {
    const { plan, part } = this.#options.bound;
    const topic = part.sources[0]?.name ?? "";
    return { pipeline: plan.pipeline, part: part.name, topic, partition: this.partition };
  }

  /** Returns where to seek when the batch does not follow what was read before. */
  accept(batch: RecordBatch): bigint | null {
    return this.#inbox.push(batch);
  }

  /** The dependency that is away while the task waits for it. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  get inboxBytes(): number {
    return this.#inbox.bytes;
  }

  /** Committed progress and the oldest record beyond it, for lag. */
  positions(): { topic: TopicName; committed: bigint; oldestMs: number | null }[] {
    return [...this.#places].map(([topic, { committed }]) => ({
      topic,
      committed,
      oldestMs: this.#oldestMs,
    }));
  }

  /** Ends the loop and drops everything that no checkpoint has taken. */
  close(): void {
    this.#inbox.close();
    this.#life.abort(new Error("the task was closed"));
    this.#roomAgain?.();
  }

  /** The line: fetch → learn schemas → decode, transform, stage → wait for room. Returns why it halted, or null when closed. */
  async run(): Promise<MillraceError | null> {
    for (;;) {
      const run = await this.#inbox.take();
      if (run === null) return null;
      for (let ids = this.#unknown(run); ids.size > 0; ids = this.#unknown(run)) {
        await this.#learn(ids);
        if (this.#life.signal.aborted) return null;
      }
      const halted = this.#process(run);
      if (halted !== null) return halted;
      await this.#room();
    }
  }

  #unknown(run: Run): Set<number> {
    return unknownIds(this.#options.bound, run, this.#options.context.schemas);
  }

  async #learn(ids: ReadonlySet<number>): Promise<void> {
    const { context } = this.#options;
    const onWaiting = (dependency: string | null): void => void (this.#waitingFor = dependency);
    const what = { dependency: "registry", signal: this.#life.signal, onWaiting };
    await persist(context, what, () => context.schemas.learn(ids)).catch((error: unknown) => {
      if (!this.#life.signal.aborted) throw error;
    });
  }

  #process(run: Run): MillraceError | null {
    const place = this.#places.get(run.topic);
    assert(place !== undefined, `the task does not own ${run.topic}`);
    let error: MillraceError | null = null;
    let haltedAt: bigint | null = null;
    const done = processRun(this.#options.bound, run, this.#stage, (raw, outcome) => {
      if (outcome.kind === "halted") {
        error = outcome.error;
        haltedAt = raw.offset;
      } else this.#count(raw, outcome, place);
    });
    place.nextOffset = done ? run.nextOffset : (haltedAt ?? place.nextOffset);
    this.#options.note(run.records.length);
    return error;
  }

  #count(raw: RawRecord, outcome: Outcome, place: Place): void {
    this.#oldestMs ??= raw.timestamp;
    countOutcome(this.#delta, outcome);
    countOutcome(place.ledger, outcome);
    if (outcome.kind !== "dead-lettered") return;
    const { letters, context } = this.#options;
    this.#letters.push(letterOf(raw, outcome.failure, letters, context.clock.now()));
  }

  /** Waits while more is staged than one checkpoint should hold; always lets the event loop turn. */
  async #room(): Promise<void> {
    const { clock, limits } = this.#options.context;
    while (this.#stage.index >= limits.checkpointRecordsMax && !this.#life.signal.aborted) {
      await new Promise<void>((resolve) => (this.#roomAgain = resolve));
      this.#roomAgain = null;
    }
    await clock.sleep(0);
  }

  /** The checkpoint with this progress was decided. */
  settle(progress: readonly Progress[]): void {
    for (const { topic, nextOffset } of progress) {
      const place = this.#places.get(topic);
      if (place !== undefined) place.committed = nextOffset;
    }
  }

  /** Hands the stage over, with the progress of every partition of the task; null when nothing moved. */
  takeStage(): TaskCheckpoint | null {
    const moved = [...this.#places.values()].some((place) => place.nextOffset !== place.staged);
    if (!moved) return null;
    const { context, generation } = this.#options;
    const progress = [...this.#places].map(([topic, place]): Progress => {
      place.staged = place.nextOffset;
      const metadata = encodeMetadata({ owner: context.owner, ledger: place.ledger });
      return { topic, partition: this.partition, nextOffset: place.nextOffset, metadata };
    });
    const { outputs, index: records } = this.#stage;
    const [letters, delta] = [this.#letters, this.#delta];
    this.#stage = emptyStage();
    this.#letters = [];
    this.#delta = emptyLedger();
    this.#oldestMs = null;
    this.#roomAgain?.();
    return { task: this, outputs, letters, progress, generation, records, delta };
  }
}
