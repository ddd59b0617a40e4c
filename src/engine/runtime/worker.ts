// A worker: the unit of transaction. Has a lane for each pipeline, which makes its parts, joins their groups and leaves them
// as the pipeline's gate says; and what the lanes share: ports, the transaction, housekeeping.
import { MillraceError, detailOf } from "../core/errors.ts";
import type { Part, Plan } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import type { GroupConsumer, PlainProducer } from "../core/kafka.ts";
import { announcePart } from "../observe/task-metrics.ts";
import type { TaskHealth } from "../observe/health.ts";
import { shownWait, type ShownWait } from "../observe/time-waits.ts";
import { LagBook } from "../observe/lag/append-times.ts";
import { slowRecords } from "./loop/slow-records.ts";
import { bindPart, type BoundPart } from "./task/bind.ts";
import type { WorkerContext, WorkerLimits, WorkerPorts } from "./context.ts";
import { KAFKA_IS_AWAY, persist } from "./failure.ts";
import { Lane, type LaneWorker } from "./gate/lane.ts";
import type { AnyPart, PartGate, PartOptions } from "./task/part.ts";
import { Housekeeping } from "./housekeeping/housekeeping.ts";
import { WorkerLag } from "./housekeeping/lag.ts";
import { checkNotes, letterBytesMax, preflight, type Bindings, type Persist } from "./preflight.ts";
import { Resources } from "./calls/resources.ts";
import { SchemaCache } from "./task/schema-cache.ts";
import { CacheBudget } from "../state/task-stores.ts";
import { ShapeBook } from "./shapes/book.ts";
import { SinkPart } from "./task/sink/part.ts";
import { StreamCommitter } from "./task/stream/committer.ts";
import { StreamPart } from "./task/stream/part.ts";
import { timedOperators } from "./task/stream/tally.ts";

/** Credentials and rights that Kafka refuses end a start; a worker that runs waits, since somebody may be changing them. */
async function atStart<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "MILL_KAFKA_AUTH") throw error;
    const { where, code } = error;
    throw new MillraceError(code, detailOf(error), { cause: error, where, disposition: "halt" });
  }
}

/** The reason of a wait with the server's address and error. */
const withDetail = (why: string | null, error?: MillraceError): string | null =>
  why === null || error === undefined || why === error.message ? why : `${why}: ${detailOf(error)}`;

export class Worker {
  readonly #plans: readonly Plan[];
  readonly #context: WorkerContext;
  readonly #committer: StreamCommitter;
  readonly #lanes: readonly Lane[];
  readonly #lag: WorkerLag;
  readonly #books = new Map<TopicName, ShapeBook>();
  readonly #life = new AbortController();
  readonly #ended: Promise<Error | null>;
  #end: (error: Error | null) => void = () => undefined;
  #producer: PlainProducer | null = null;
  #house: Housekeeping | null = null;
  #stopping: Promise<void> | null = null;
  #loops: Promise<unknown> = Promise.resolve();
  #waitingFor: string | null = null;

  constructor(plans: readonly Plan[], ports: WorkerPorts, limits: WorkerLimits) {
    this.#plans = plans;
    const { workerName = `${plans[0]?.namespace ?? ""}millrace` } = ports;
    this.#context = {
      ...ports,
      limits,
      admin: ports.kafka.admin(),
      cache: new CacheBudget(limits.cacheBytesMax, ports.meter),
      schemas: new SchemaCache(ports.registry, ports.clock, undefined, ports.meter),
      resources: new Resources(),
      lag: new LagBook(),
      owner: `${workerName}-${ports.random.token(12)}`,
    };
    this.#committer = new StreamCommitter(this.#context, (error) => this.#end(error));
    this.#ended = new Promise((resolve) => (this.#end = resolve));
    this.#lanes = plans.map((plan) => new Lane(plan, this.#laneWorker()));
    this.#lag = new WorkerLag(this.#context, () => this.#lanes);
  }

  #laneWorker(): LaneWorker {
    return {
      context: this.#context,
      preflight: (plans, signal) => preflight(plans, this.#context, this.#patience(signal)),
      makePart: (plan, part, bindings, gate) => this.#part(plan, part, bindings, gate),
      dropPart: (part) => this.#committer.remove(part),
      onFatal: (error) => this.#end(error),
    };
  }

  /**
   * Checks that everything is there (throws ConfigErrors), then joins the groups of every pipeline whose gate is open.
   * Resolves to false when it was stopped meanwhile.
   */
  async start(): Promise<boolean> {
    try {
      await this.#begin();
    } catch (error) {
      // A stop cuts the start short, which is no failure.
      if (this.#stopping === null) throw error;
    }
    return this.#stopping === null;
  }

  async #begin(): Promise<void> {
    const { signal } = this.#life;
    await checkNotes(this.#plans, this.#context, this.#patience(signal));
    const planned = await Promise.all(this.#lanes.map((lane) => this.#planNow(lane)));
    const open = planned.flatMap((plan, i) =>
      plan === null ? [] : [{ plan, lane: this.#lanes[i] as Lane }],
    );
    const plans = open.map(({ plan }) => plan);
    const bindings = await preflight(plans, this.#context, this.#patience(signal));
    const { resources, openResource, log } = this.#context;
    // Resources of every pipeline, also of one that its gate keeps out: it begins later without a restart.
    await resources.open(this.#plans, openResource);
    if (this.#stopping !== null) await resources.close(log);
    // Stopped meanwhile: there would be nobody left to make it leave its groups again.
    // mistake: stopped while starting
    if (this.#stopping !== null) return;
    this.#producer = this.#context.kafka.producer();
    for (const { plan, lane } of open) lane.bind(plan, bindings);
    const metas = this.#lanes.map((lane) => lane.meta);
    const house = new Housekeeping(this.#context, metas, () => this.#parts);
    this.#house = house;
    const loops = [this.#committer.run(signal), house.run(signal), this.#lag.run(signal)];
    this.#loops = Promise.all(loops).catch((error: unknown) => this.#end(error as Error));
    for (const lane of this.#lanes) lane.run();
    await Promise.all(open.map(({ lane }) => lane.join()));
  }

  #planNow(lane: Lane): Promise<Plan | null> {
    const { signal } = this.#life;
    return this.#patience(signal)("kafka", () => lane.planNow(signal));
  }

  #patience(signal: AbortSignal): Persist {
    const onWaiting = (why: string | null, error?: MillraceError): void =>
      void (this.#waitingFor = withDetail(why, error));
    return async (dependency, work) => {
      const result = await persist(this.#context, { dependency, signal, onWaiting }, () =>
        this.#producer === null ? atStart(work) : work(),
      );
      onWaiting(null);
      return result;
    };
  }

  get #parts(): readonly AnyPart[] {
    return this.#lanes.flatMap((lane) => lane.parts);
  }

  #part(plan: Plan, part: Part, bindings: Bindings, gate: PartGate): AnyPart {
    const { writerIds, topics } = bindings;
    const context = this.#context;
    const labels = { pipeline: plan.pipeline, part: part.name };
    const watch = slowRecords(context, plan.pipeline, part);
    const bound = bindPart(plan, part, {
      ...(watch === undefined ? {} : { watch }),
      schemas: context.schemas,
      writerIds,
      shapes: this.#book(plan),
      onBroken: (rule) =>
        context.meter.count("millrace_records_total", {
          ...labels,
          operator: rule,
          outcome: "broken",
        }),
    });
    announcePart(context.meter, labels, timedOperators(bound));
    const letters: PartOptions["letters"] = {
      pipeline: plan.pipeline,
      part: part.name,
      version: plan.version,
      topic: plan.deadLetters,
      partitions: topics.get(plan.deadLetters)?.partitions ?? 1,
      bytesMax: letterBytesMax(topics.get(plan.deadLetters)),
      states: plan.letterStates,
    };
    const join = (of: BoundPart): GroupConsumer => this.#join(of);
    const onFatal = (error: Error): void => this.#end(error);
    const onStopped = (): void => this.#house?.wake();
    const own = { bound, context, letters, gate, join, onFatal, onStopped };
    if (part.table === null) {
      const stream = new StreamPart(own, this.#committer);
      this.#committer.add(stream);
      return stream;
    }
    return new SinkPart(own, context.tableStore(part.table), this.#producer as PlainProducer);
  }

  /** The parts of a pipeline share a book: what one writes another reads. */
  #book(plan: Plan): ShapeBook {
    const known = this.#books.get(plan.meta) ?? new ShapeBook(plan, this.#context, this.#context);
    this.#books.set(plan.meta, known);
    return known;
  }

  #join({ part, plan }: BoundPart): GroupConsumer {
    const { kafka, limits, owner } = this.#context;
    return kafka.consumer({
      group: part.group,
      topics: part.sources.map((topic) => topic.name),
      beside: [plan.redrive],
      identity: owner,
      // The budget of the process is shared by all the groups that it is in.
      maxBytes: Math.floor(limits.fetchBytesMax / this.#plans.flatMap(({ parts }) => parts).length),
      sessionTimeoutMs: limits.sessionTimeoutMs,
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
      rebalanceTimeoutMs: limits.rebalanceTimeoutMs,
    });
  }

  /** Resolves when the worker has ended: null after `stop`, else why. */
  get ended(): Promise<Error | null> {
    return this.#ended;
  }

  get isJoined(): boolean {
    return this.#producer !== null && this.#lanes.every((lane) => lane.isJoined);
  }

  /** Pipelines that do not go on as a whole, each with why. */
  get whyPaused(): readonly string[] {
    return this.#lanes.flatMap((lane) => [
      ...(lane.whyPaused === null ? [] : [lane.whyPaused]),
      ...lane.refused,
    ]);
  }

  /** Pipelines that go on only when an operator says so. */
  get halts(): readonly MillraceError[] {
    return this.#lanes.flatMap(({ halt }) => halt ?? []);
  }

  /** Kafka does not answer yet, and the client asks again: a start says so, long before the client gives up. */
  kafkaWaits(error: MillraceError): void {
    if (this.#producer !== null || this.#stopping !== null) return;
    const { code, message } = error;
    const facts = { dependency: "kafka", code, error: message };
    if (this.#waitingFor === null) this.#context.log.warn(facts, "waiting for a dependency");
    this.#waitingFor = withDetail(KAFKA_IS_AWAY, error);
  }

  /** The dependency that the start waits for. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  /** Records that wait in state for a call. */
  get queuedRecords(): number {
    return this.#committer.tasks.reduce((sum, { work }) => sum + (work?.queuedRecords ?? 0), 0);
  }

  /** Sets the gauges of lag to what they are now. */
  publishLag(): void {
    this.#lag.publish();
  }

  health(): TaskHealth[] {
    return this.#lanes.flatMap((lane) => lane.health());
  }

  /** The partitions for whose times its operators wait. */
  timeWaits(): ShownWait[] {
    const nowMs = this.#context.clock.now();
    return this.#parts.flatMap((part) => part.timeWaits()).map((wait) => shownWait(wait, nowMs));
  }

  /** Drains: commits what is staged, leaves the groups, closes the clients. Once, however often it is asked. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
    this.#life.abort(new Error("the worker was stopped"));
    await this.#loops;
    await this.#committer.close();
    await this.#producer?.close();
    await this.#context.resources.close(this.#context.log);
    await this.#context.admin.close();
    this.#end(null);
  }
}
