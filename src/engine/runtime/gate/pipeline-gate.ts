// A worker's knowledge of a pipeline's gate and of the stores that it uses. Looked at now and then, and read afresh
// by every takeover after its join: whoever joined before the gate was shut is seen as a member, and whoever joins later
// sees the note. So nothing is read under a shut gate once the groups are empty.
import type { Plan } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import {
  gateNote,
  gateStates,
  haltAboveNote,
  storesNote,
  type GateNote,
} from "../../notes/gate-note.ts";
import type { ReadOptions } from "../../core/read-range.ts";
import { lastGeneration, Lineage, lineageOf } from "../../notes/generations.ts";
import { faultLine, type Notes } from "../../notes/faults.ts";
import { NoteTail } from "../../notes/notes.ts";
import type { WorkerContext } from "../context.ts";
import { Mutex } from "../../core/mutex.ts";

const nothing: ReadonlySet<TopicName> = new Set();

export class PipelineGate {
  readonly #context: WorkerContext;
  readonly #plan: Plan;
  readonly #foreign: ReadonlySet<TopicName>;
  readonly #tail: NoteTail;
  readonly #lock = new Mutex();
  #note: GateNote | null = null;
  #run: number | null = null;
  #lineage: Lineage;
  #haltAbove: number | null = null;
  /** The offset of the last unreadable note that the log has. */
  #reported = -1n;

  constructor(context: WorkerContext, plan: Plan) {
    this.#context = context;
    this.#plan = plan;
    this.#lineage = new Lineage(plan, []);
    this.#foreign = new Set(plan.topics.input.map(({ name }) => name));
    this.#tail = new NoteTail(context, plan.meta);
  }

  /** As last read; null while it is open. */
  get note(): GateNote | null {
    return this.#note;
  }

  /** The run whose stores the pipeline uses. */
  get run(): number | null {
    return this.#run;
  }

  /** The generations of its letters. */
  get lineage(): Lineage {
    return this.#lineage;
  }

  /** The share of letters that the last resume allows. */
  get haltAbove(): number | null {
    return this.#haltAbove;
  }

  get lets(): boolean {
    return this.#note === null || this.#note.state === "draining";
  }

  get pausedTopics(): ReadonlySet<TopicName> {
    return this.#note?.state === "draining" ? this.#foreign : nothing;
  }

  /** Each look begins after the one before has ended, so none is answered by what an earlier one has read. */
  look(how: ReadOptions): Promise<void> {
    return this.#lock.run(async () => {
      const notes = await this.#tail.look(how);
      this.#report(notes);
      this.#note = gateNote(notes);
      // Nobody knows what they say, and nobody reads.
      if (this.#note?.by === "notes") return this.#publish();
      this.#run = storesNote(this.#plan, notes);
      const last = lastGeneration(notes);
      // The note of a reset may change until it has ended; nobody reads before that.
      if (last?.isUnfinished !== true && (last?.number ?? 0) !== this.#lineage.current)
        this.#lineage = lineageOf(this.#plan, notes);
      this.#haltAbove = haltAboveNote(notes);
      this.#publish();
    });
  }

  /** Notes that cannot be read are reported once each, also those that change nothing. */
  #report({ faults }: Notes): void {
    const { log, meter } = this.#context;
    const { pipeline } = this.#plan;
    const now = [...(faults?.values() ?? [])];
    for (const fault of now)
      if (fault.offset > this.#reported) log.error({ pipeline }, faultLine(this.#plan, fault));
    for (const { offset } of now) if (offset > this.#reported) this.#reported = offset;
    meter.gauge("millrace_unreadable_notes", { pipeline }, now.length);
  }

  #publish(): void {
    const now = this.#note?.state ?? "open";
    for (const state of gateStates) {
      const labels = { pipeline: this.#plan.pipeline, state };
      this.#context.meter.gauge("millrace_pipeline_gate", labels, state === now ? 1 : 0);
    }
  }
}
