// A pipeline in one worker: a member of its groups while its gate lets it, else out of them and waiting, while other
// pipelines of the worker go on. Its steps run one at a time. When the gate opens again it begins as at a start, on
// the stores that the notes name by then.
import { sendOnce } from "../../core/send-once.ts";
import { ConfigErrors, messageOf, type MillraceError } from "../../core/errors.ts";
import type { Part, Plan } from "../../core/plan.ts";
import { withStores } from "../../core/plan-stores.ts";
import type { TopicName } from "../../core/record.ts";
import type { TaskHealth } from "../../observe/health.ts";
import { gateRecord, gateText, haltOf, type GateNote } from "../../notes/gate-note.ts";
import type { WorkerContext } from "../context.ts";
import { shownHealth } from "../resume/stop-watch.ts";
import { isDefect, unlessAborted } from "../failure.ts";
import type { Bindings } from "../preflight.ts";
import type { AnyPart, PartGate } from "../task/part.ts";
import { PipelineGate } from "./pipeline-gate.ts";

/** The services of the worker to its lanes. */
export interface LaneWorker {
  readonly context: WorkerContext;
  /** Throws ConfigErrors with what is missing. */
  preflight(plans: readonly Plan[], signal: AbortSignal): Promise<Bindings>;
  makePart(plan: Plan, part: Part, bindings: Bindings, gate: PartGate): AnyPart;
  /** The part has left for good. */
  dropPart(part: AnyPart): void;
  onFatal(error: Error): void;
}

/** The pause between two tries to open a pipeline again. */
const AGAIN_MS = 10_000;

export class Lane {
  readonly declared: Plan;
  readonly #worker: LaneWorker;
  readonly #gate: PipelineGate;
  readonly #life = new AbortController();
  /** Cuts the pause between two looks short. */
  #wake = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #parts: readonly AnyPart[] = [];
  /** The run whose stores the parts use. */
  #boundTo: number | null = null;
  #leaving: Promise<void> | null = null;
  #tripped: MillraceError | null = null;
  /** The reason why the pipeline could not open again, and the time of the next try. */
  #problem: { readonly text: string; readonly untilMs: number } | null = null;

  constructor(declared: Plan, worker: LaneWorker) {
    this.declared = declared;
    this.#worker = worker;
    this.#gate = new PipelineGate(worker.context, declared);
  }

  get meta(): TopicName {
    return this.declared.meta;
  }

  get parts(): readonly AnyPart[] {
    return this.#parts;
  }

  /** Also while its gate keeps it out: there is nothing to join then. */
  get isJoined(): boolean {
    if (this.#parts.length > 0) return this.#parts.every((part) => part.isJoined);
    return this.whyPaused !== null;
  }

  health(): TaskHealth[] {
    return this.#parts.flatMap(shownHealth);
  }

  /** Why the pipeline as a whole does not go on, or null. */
  get whyPaused(): string | null {
    const { note } = this.#gate;
    if (note !== null) return gateText(this.declared, note);
    return this.#problem?.text ?? null;
  }

  /** Why it goes on only when an operator says so; null: it goes on, or a command lets it. */
  get halt(): MillraceError | null {
    const { note } = this.#gate;
    const isHalted = note?.by === "breaker" || note?.by === "operator" || note?.by === "notes";
    return isHalted ? haltOf(this.declared, note) : null;
  }

  /** The reads that Kafka refuses the parts, where no task shows it. */
  get refused(): readonly string[] {
    return this.#parts.flatMap(({ reads }) => reads.unreported);
  }

  /** The plan as it is to run now, or null while the gate is shut. */
  async planNow(signal: AbortSignal): Promise<Plan | null> {
    await this.#gate.look({ waits: true, signal });
    this.#boundTo = this.#gate.run;
    return this.#gate.lets ? withStores(this.declared, this.#boundTo) : null;
  }

  /** Makes the parts of what `planNow` returned; they have joined nothing yet. */
  bind(plan: Plan, bindings: Bindings): void {
    const gate = this.#partGate();
    this.#parts = plan.parts.map((part) => this.#worker.makePart(plan, part, bindings, gate));
  }

  async join(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.start()));
  }

  /** Obeys the gate until `stop`. */
  run(): void {
    this.#loop = this.#obey();
  }

  /** Leaves the groups, and joins none again. */
  async stop(): Promise<void> {
    this.#life.abort(new Error("the worker was stopped"));
    this.#wake.abort();
    await this.#loop;
    await this.#leave();
  }

  #partGate(): PartGate {
    const gate = this.#gate;
    return {
      get pausedTopics() {
        return gate.pausedTopics;
      },
      get lineage() {
        return gate.lineage;
      },
      get haltAbove() {
        return gate.haltAbove;
      },
      admit: async (signal) => {
        await gate.look({ waits: true, signal });
        if (gate.lets && gate.run === this.#boundTo) return true;
        this.#wake.abort();
        return false;
      },
      trip: (error) => {
        this.#tripped ??= error;
        this.#wake.abort();
      },
    };
  }

  async #obey(): Promise<void> {
    const { signal } = this.#life;
    const { clock, limits, log } = this.#worker.context;
    while (!signal.aborted) {
      // Cut short on purpose.
      await clock.sleep(limits.gateLookMs, this.#wake.signal).catch(() => undefined);
      if (signal.aborted) return;
      this.#wake = new AbortController();
      await unlessAborted(signal, this.#step(signal)).catch((error: unknown) => {
        // The loop looks again in a moment. A worker that joins without it sees the note in its takeover.
        if (!signal.aborted) log.debug({ error: messageOf(error) }, "the gate was not looked at");
      });
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    if (this.#tripped !== null) await this.#report(this.#tripped, signal);
    else await this.#gate.look({ waits: false });
    signal.throwIfAborted();
    const mayStay = this.#gate.lets && this.#gate.run === this.#boundTo;
    if (this.#parts.length > 0 && !mayStay) await this.#leave();
    signal.throwIfAborted();
    if (this.#parts.length > 0) for (const part of this.#parts) part.pauseTopics();
    else if (this.#gate.lets) await this.#reopen(signal);
  }

  /** Writes down what every worker must know, unless somebody has shut the gate already. */
  async #report(tripped: MillraceError, signal: AbortSignal): Promise<void> {
    const { clock, kafka, log, meter, owner } = this.#worker.context;
    const { pipeline } = this.declared;
    await this.#gate.look({ waits: true, signal });
    if (this.#gate.lets) {
      const { code, message } = tripped;
      const atMs = clock.now();
      const note: GateNote = { state: "halted", by: "breaker", code, message, atMs, owner };
      await sendOnce(kafka, [gateRecord(this.declared.meta, note)]);
      const { part = "" } = tripped.where;
      meter.count("millrace_breaker_halts_total", { pipeline, part });
      log.error({ pipeline, part, code }, gateText(this.declared, note));
      await this.#gate.look({ waits: true, signal });
    }
    this.#tripped = null;
  }

  /** Stream parts first, each committing what it has staged, then the sinks. */
  #leave(): Promise<void> {
    this.#leaving ??= this.#leaveAll(this.#parts).finally(() => {
      for (const part of this.#parts) this.#worker.dropPart(part);
      this.#parts = [];
      this.#leaving = null;
    });
    return this.#leaving;
  }

  async #leaveAll(parts: readonly AnyPart[]): Promise<void> {
    const { pipeline } = this.declared;
    const isSink = ({ bound }: AnyPart): boolean => bound.part.table !== null;
    if (!this.#life.signal.aborted)
      this.#worker.context.log.warn({ pipeline }, this.whyPaused ?? `${pipeline} begins anew`);
    await Promise.all(parts.filter((part) => !isSink(part)).map((part) => part.stop()));
    await Promise.all(parts.filter(isSink).map((part) => part.stop()));
  }

  /** Begins as at a start. Missing things are logged, and looked at again later. */
  async #reopen(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#worker.context;
    const { pipeline } = this.declared;
    if (this.#problem !== null && clock.monotonic() < this.#problem.untilMs) return;
    const plan = await this.planNow(signal);
    if (plan === null) return;
    try {
      const bindings = await this.#worker.preflight([plan], signal);
      signal.throwIfAborted();
      this.#problem = null;
      this.bind(plan, bindings);
    } catch (error) {
      signal.throwIfAborted();
      return this.#putOff(error);
    }
    log.info({ pipeline, version: plan.version, stores: plan.storePrefix }, "the gate is open");
    await this.join().catch((error: unknown) => this.#notJoined(error));
  }

  #putOff(error: unknown): void {
    const { clock, log } = this.#worker.context;
    const { pipeline } = this.declared;
    const text = `${pipeline} cannot go on: ${problemsOf(error)}`;
    this.#problem = { text, untilMs: clock.monotonic() + AGAIN_MS };
    log.error({ pipeline }, text);
  }

  /** Its groups cannot be joined for now: it is out of them all, and opens again later. */
  async #notJoined(error: unknown): Promise<void> {
    if (isDefect(error)) return this.#worker.onFatal(error as Error);
    this.#putOff(error);
    await this.#leave();
  }
}

const problemsOf = (error: unknown): string =>
  error instanceof ConfigErrors
    ? error.problems.map(({ code, message }) => `${code} ${message}`).join("; ")
    : messageOf(error);
