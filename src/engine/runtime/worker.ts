// A worker: the unit of transaction. Makes a part for each part of each plan, starts their consumers, and stops them
// in order: stream parts leave first, each committing what it staged, then the sinks.
import type { Part, Plan } from "../core/plan.ts";
import type { GroupConsumer, PlainProducer } from "../core/kafka.ts";
import { ConfigErrors, type MillraceError } from "../core/errors.ts";
import type { TopicName } from "../core/record.ts";
import { announcePart } from "../observe/task-metrics.ts";
import type { TaskHealth } from "../observe/health.ts";
import type { LetterOrigin } from "../sinks/letter.ts";
import { bindPart, type BoundPart, type WriterIds } from "./line/bind.ts";
import type { WorkerContext, WorkerLimits, WorkerPorts } from "./context.ts";
import { persist } from "./failure.ts";
import { Housekeeping } from "./housekeeping.ts";
import { checkTopics, findWriterIds } from "./preflight.ts";
import { Resources } from "./calls/resources.ts";
import { checkStores } from "./store-notes.ts";
import { SchemaCache } from "./line/schema-cache.ts";
import { SinkPart } from "./sink/part.ts";
import { CacheBudget } from "../state/cache-budget.ts";
import { StreamEngine } from "./stream/engine.ts";
import { StreamPart } from "./stream/part.ts";

/** What the parts of a worker are bound with, once preflight has passed. */
interface Bindings {
  readonly writerIds: WriterIds;
  readonly partitions: ReadonlyMap<TopicName, number>;
}

export class Worker {
  readonly #plans: readonly Plan[];
  readonly #context: WorkerContext;
  readonly #engine: StreamEngine;
  readonly #streams: StreamPart[] = [];
  readonly #sinks: SinkPart[] = [];
  readonly #life = new AbortController();
  readonly #ended: Promise<Error | null>;
  #end: (error: Error | null) => void = () => undefined;
  #producer: PlainProducer | null = null;
  #stopping: Promise<void> | null = null;
  #loops: Promise<unknown> = Promise.resolve();
  #waitingFor: string | null = null;

  constructor(plans: readonly Plan[], ports: WorkerPorts, limits: WorkerLimits) {
    this.#plans = plans;
    const namespace = plans[0]?.namespace ?? "";
    this.#context = {
      ...ports,
      limits,
      admin: ports.kafka.admin(),
      cache: new CacheBudget(limits.cacheBytesMax),
      schemas: new SchemaCache(ports.registry, ports.clock),
      resources: new Resources(),
      owner: `${namespace}millrace-${ports.random.token(12)}`,
    };
    this.#engine = new StreamEngine(this.#context, (error) => this.#end(error));
    this.#ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** Checks that everything is there (throws ConfigErrors), then joins the groups. */
  async start(): Promise<void> {
    const bindings = await this.#preflight();
    const { resources, openResource, log } = this.#context;
    await resources.open(this.#plans, openResource);
    if (this.#stopping !== null) await resources.close(log);
    // Stopped meanwhile: there would be nobody left to make it leave its groups again.
    if (this.#stopping !== null) return;
    this.#producer = this.#context.kafka.producer();
    for (const plan of this.#plans) for (const part of plan.parts) this.#add(plan, part, bindings);
    const house = new Housekeeping(this.#context, [...this.#streams, ...this.#sinks]);
    this.#loops = Promise.all([
      this.#engine.run(this.#life.signal),
      house.run(this.#life.signal),
    ]).catch((error: unknown) => this.#end(error as Error));
    await Promise.all(
      [...this.#streams, ...this.#sinks].map((part) => part.start(this.#join(part.bound))),
    );
  }

  async #preflight(): Promise<Bindings> {
    const { admin, registry, checkTables } = this.#context;
    const partitions = await this.#persist("kafka", () => checkTopics(this.#plans, admin));
    const writerIds = await this.#persist("registry", () => findWriterIds(this.#plans, registry));
    const tables = this.#plans.flatMap((plan) => plan.tables);
    // Who writes no table needs no database.
    const problems =
      tables.length === 0 ? [] : await this.#persist("postgres", () => checkTables(tables));
    const unfit = await this.#unfitCopies();
    const changed = await this.#persist("kafka", () => checkStores(this.#plans, this.#context));
    const all = [...problems, ...unfit, ...changed];
    if (all.length > 0) throw new ConfigErrors(all);
    return { writerIds, partitions };
  }

  /** What keeps Redis or memory from holding state, if any of the pipelines has some. */
  async #unfitCopies(): Promise<readonly MillraceError[]> {
    const stateful = this.#plans.filter((plan) =>
      plan.parts.some((part) => part.stores.length > 0),
    );
    const kinds = [...new Set(stateful.map((plan) => plan.options.state))];
    const found = kinds.map((kind) =>
      this.#persist(kind, () => this.#context.stateCopies(kind).problems()),
    );
    return (await Promise.all(found)).flat();
  }

  #persist<T>(dependency: string, work: () => Promise<T>): Promise<T> {
    const onWaiting = (why: string | null): void => void (this.#waitingFor = why);
    return persist(this.#context, { dependency, signal: this.#life.signal, onWaiting }, work);
  }

  #add(plan: Plan, part: Part, { writerIds, partitions }: Bindings): void {
    const context = this.#context;
    const labels = { pipeline: plan.pipeline, part: part.name };
    const bound = bindPart(plan, part, {
      schemas: context.schemas,
      writerIds,
      onBroken: (rule) =>
        context.meter.count("millrace_records_total", {
          ...labels,
          operator: rule,
          outcome: "broken",
        }),
    });
    announcePart(context.meter, plan.pipeline, part.name);
    const letters: LetterOrigin = {
      pipeline: plan.pipeline,
      part: part.name,
      version: plan.version,
      topic: plan.deadLetters,
      partitions: partitions.get(plan.deadLetters) ?? 1,
    };
    if (part.table === null) {
      const stream = new StreamPart(bound, context, this.#engine, letters);
      this.#engine.add(stream);
      this.#streams.push(stream);
      return;
    }
    const store = context.tableStore(part.table);
    const producer = this.#producer as PlainProducer;
    const onFatal = (error: Error): void => this.#end(error);
    this.#sinks.push(new SinkPart({ bound, context, store, letters, producer, onFatal }));
  }

  #join({ part }: BoundPart): GroupConsumer {
    const { kafka, limits, owner } = this.#context;
    return kafka.consumer({
      group: part.group,
      topics: part.sources.map((topic) => topic.name),
      identity: owner,
      // One budget for the process, however many groups it is in.
      maxBytes: Math.floor(limits.fetchBytesMax / (this.#streams.length + this.#sinks.length)),
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
    const parts = [...this.#streams, ...this.#sinks];
    return parts.length > 0 && parts.every((part) => part.isJoined);
  }

  /** The dependency that holds up the start. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  /** Records that wait in state for a call. */
  get parkedRecords(): number {
    const tasks = this.#streams.flatMap((part) => part.tasks);
    return tasks.reduce((sum, task) => sum + task.parkedRecords, 0);
  }

  health(): TaskHealth[] {
    return [...this.#streams, ...this.#sinks].flatMap((part) => part.health());
  }

  /** Drains: commits what is staged, leaves the groups, closes the clients. Once, however often it is asked. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    await Promise.all(this.#streams.map((part) => part.stop()));
    await Promise.all(this.#sinks.map((part) => part.stop()));
    this.#life.abort(new Error("the worker was stopped"));
    await this.#loops;
    await this.#engine.close();
    await this.#producer?.close();
    await this.#context.resources.close(this.#context.log);
    await this.#context.admin.close();
    this.#end(null);
  }
}
