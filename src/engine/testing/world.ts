// The world of one simulation: an in-memory cluster, registry and database, virtual time, and the worker of the moment.
import { InvariantError, MillraceError } from "../core/errors.ts";
import type { KafkaPort, PlainProducer } from "../core/kafka.ts";
import { late } from "../core/late-topics.ts";
import { isBetween, type Plan, type PlanTable } from "../core/plan.ts";
import { ownFormat, subjectOf, type AvroSchema, type Codec, type Schema } from "../core/schema.ts";
import type { StateCopies } from "../core/state.ts";
import type { TableStore } from "../core/ports.ts";
import { watermarksOf } from "../core/read-range.ts";
import { addressOf, partitionOf, taskKey } from "../core/record.ts";
import { marksIn } from "../core/time-headers.ts";
import { compileCodec } from "../decode/codec.ts";
import type { PostgresTable } from "../define/table.ts";
import type { Topic } from "../define/topic.ts";
import type { OperatePorts } from "../operate/choice.ts";
import { redrive, REDRIVES_MAX } from "../letters/commands/redrive.ts";
import { catalogue } from "../observe/catalogue.ts";
import { defaultLimits, type WorkerLimits, type WorkerPorts } from "../runtime/context.ts";
import { readProgress, readRedriveProgress, type TaskProgress } from "../core/progress.ts";
import { memoryCopies } from "../state/memory-copy.ts";
import { SchemaCache } from "../runtime/task/schema-cache.ts";
import { Worker } from "../runtime/worker.ts";
import { FakeClock } from "./doubles/fake-clock.ts";
import { MemoryKafka } from "./memory-kafka.ts";
import { MemoryRegistry } from "./doubles/memory-registry.ts";
import { MemoryTables } from "./memory-tables.ts";
import { openDouble, type Double } from "./doubles/resource-double.ts";
import { RecordingLog } from "./doubles/recording-log.ts";
import { RecordingMeter } from "./doubles/recording-meter.ts";
import { seededRandom } from "./doubles/seeded-random.ts";
import { switchedCopies } from "./doubles/switched-copies.ts";
import { SimulatedEnd } from "./doubles/simulated-end.ts";
import type { SimulateOptions } from "./options.ts";
import type { SimulatedStep } from "./steps.ts";
import { checkStops, type TaskStop } from "./stops.ts";
import { workerClock, WorkerSwitch } from "./doubles/worker-switch.ts";

const QUIET_LIMIT_MS = 600_000;

/** Plays steps; `drain` lets the work end. */
export class World {
  readonly plans: readonly Plan[];
  readonly #clock: FakeClock;
  readonly cluster: MemoryKafka;
  readonly #registry = new MemoryRegistry();
  readonly tables: MemoryTables = new MemoryTables();
  /** In the place of Redis: it outlives workers. */
  readonly copies: StateCopies = memoryCopies();
  readonly log: RecordingLog = new RecordingLog();
  readonly meter: RecordingMeter = new RecordingMeter(catalogue);
  /** Null where time does not end. */
  readonly #ending: SimulatedEnd | null;
  readonly #startMs: number;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #outside: KafkaPort;
  readonly #producer: PlainProducer;
  #port: KafkaPort | null = null;
  #worker: Worker | null = null;

  readonly #limits: WorkerLimits;
  readonly #expectsStops: boolean;
  readonly #doubles: readonly Double[];

  /** `startMs`: the start of virtual time, epoch ms. */
  constructor(
    plans: readonly Plan[],
    startMs: number,
    { seed = 1, breaker, stops, resources = [], end = "keep" }: SimulateOptions,
  ) {
    this.#ending = end === "close" ? new SimulatedEnd(plans) : null;
    [this.#startMs, this.#clock] = [startMs, new FakeClock(startMs)];
    this.cluster = new MemoryKafka(this.#clock);
    this.#outside = this.cluster.port();
    this.#producer = this.#outside.producer();
    [this.plans, this.#doubles] = [plans, resources];
    [this.#random, this.#expectsStops] = [seededRandom(seed), stops === "expected"];
    this.#limits = { ...defaultLimits, breaker: breaker !== "off" };
  }

  async open(): Promise<void> {
    for (const plan of this.plans) {
      for (const { name, partitions, config } of plan.topics.all)
        this.#create(name, partitions, config);
      for (const topic of plan.topics.own) this.#create(topic, 1);
      for (const topic of plan.topics.all)
        for (const side of ["key", "value"] as const) {
          const format = ownFormat(topic[side]);
          if (format.kind === "avro")
            this.#schemaIds.push(
              await this.#registry.register(subjectOf(topic.name, side), textOf(format.schema)),
            );
        }
    }
    await this.#start();
  }

  readonly #tableStore = ({ declaration }: PlanTable): TableStore =>
    this.tables.store(declaration as PostgresTable<unknown>);

  readonly #schemaIds: number[] = [];
  /** Partitions by topic. */
  readonly #created = new Map<string, number>();
  #create(topic: string, partitions: number, config: Readonly<Record<string, string>> = {}): void {
    if (this.#created.has(topic)) return;
    this.#created.set(topic, partitions);
    this.cluster.createTopic({ topic, partitions, config });
  }

  async #start(): Promise<void> {
    const life = new WorkerSwitch();
    const kafka = this.cluster.port(life);
    const own = memoryCopies();
    const ports: WorkerPorts = {
      kafka,
      registry: this.#registry,
      tableStore: ({ declaration, corrects }: PlanTable) =>
        this.tables.store(declaration as PostgresTable<unknown>, life, corrects),
      checkTables: () => Promise.resolve([]),
      openResource: async (resource) => openDouble(this.#doubles, resource, this.#clock),
      stateCopies: (kind) => (kind === "redis" ? switchedCopies(this.copies, life) : own),
      clock: workerClock(this.#clock, life),
      random: this.#random,
      log: this.log,
      meter: this.meter,
      ...(this.#ending === null ? {} : { bounds: this.#ending }),
    };
    this.#port = kafka;
    this.#worker = new Worker(this.plans, ports, this.#limits);
    await this.#during(this.#worker.start());
  }

  /** Lets time pass until the promise has settled. */
  async #during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    // The caller awaits `marked`; this copy only keeps an early rejection from being unhandled.
    marked.catch(() => undefined);
    await this.#clock.advanceUntil(() => isDone, QUIET_LIMIT_MS);
    return marked;
  }

  async play(step: SimulatedStep): Promise<void> {
    switch (step.kind) {
      case "send": {
        const key = (await this.#codec(step.topic, "key")).encode(step.key);
        const codec = await this.#codec(step.topic, "value");
        return this.#send(step, key, step.value === null ? null : codec.encode(step.value));
      }
      case "send-bytes":
        return this.#send(step, step.key, step.value);
      case "advance":
        return this.#clock.advance(step.duration.ms);
      case "pause": {
        this.cluster.freeze(this.#port as KafkaPort);
        await this.#clock.advance(step.duration.ms);
        return this.cluster.thaw(this.#port as KafkaPort);
      }
      case "crash":
        await this.#clock.advance(Math.floor(this.#random.next() * 400));
        this.cluster.crash(this.#port as KafkaPort);
        return this.#start();
      case "redrive":
        await this.drain();
        for (const plan of this.plans) await this.#during(this.#redrive(plan));
        return;
      case "rebalance":
        for (const { parts } of this.plans)
          for (const { group } of parts) this.cluster.rebalance(group);
        return this.#clock.advance(1);
    }
  }

  async #redrive(plan: Plan): Promise<void> {
    const kafka = this.cluster.port();
    const ports: OperatePorts = {
      kafka,
      admin: kafka.admin(),
      clock: this.#clock,
      tableStore: this.#tableStore,
      stateCopies: () => this.copies,
    };
    const redrivesMax = plan.options.redrivesMax ?? REDRIVES_MAX;
    const isChosen = ({ isParked }: { readonly isParked: boolean }): boolean => !isParked;
    await redrive(plan, { job: "simulated", isChosen, redrivesMax, ratePerS: null }, ports);
  }

  async #codec(topic: Topic<unknown, unknown>, side: "key" | "value"): Promise<Codec> {
    const { format } = topic[side] as Schema<unknown>;
    const subject = subjectOf(topic.name, side);
    const writerId =
      format.kind === "avro" ? await this.#registry.register(subject, textOf(format.schema)) : null;
    const schemas = new SchemaCache(this.#registry, this.#clock);
    if (writerId !== null) {
      await schemas.learn([writerId]);
      this.#schemaIds.push(writerId);
    }
    return compileCodec(format, { schemas, writerId });
  }

  async #send(
    { topic, options }: Extract<SimulatedStep, { kind: "send" | "send-bytes" }>,
    key: Buffer | null,
    value: Buffer | null,
  ): Promise<void> {
    const partition = options.partition ?? partitionOf(key, this.#created.get(topic.name) ?? 1, 0);
    const { headers = [], at = this.#clock.now() } = options;
    const timestamp = typeof at === "number" ? at : this.#startMs + at.ms;
    const record = { topic: topic.name, partition, key, value, headers, timestamp };
    await this.#during(this.#producer.send([record]));
  }

  /** Time ends, as in a bounded run. */
  async end(): Promise<void> {
    const ports = { admin: this.#outside.admin(), tableStore: this.#tableStore };
    const isBusy = (): boolean => (this.#worker as Worker).queuedRecords > 0;
    if (this.#ending !== null) await this.#during(this.#ending.reach(ports, this.#clock, isBusy));
  }

  /** Until every running task has committed to the end of its topics and has no queued key, three times in a row. */
  async drain(): Promise<TaskProgress[]> {
    for (let quiet = 0, spent = 0; quiet < 3; spent += 1_000) {
      if (spent > QUIET_LIMIT_MS) throw new InvariantError("MILL_ENGINE_INVARIANT", this.#stuck());
      await this.#clock.advance(1_000);
      this.#checkPaused();
      // However long it waits, it goes on some day: its calls are counted.
      if ((this.#worker as Worker).queuedRecords > 0) {
        quiet = spent = 0;
        continue;
      }
      quiet = (await this.#during(this.#isDrained())) ? quiet + 1 : 0;
    }
    if (!this.#expectsStops) checkStops(this.stops);
    return this.#during(this.#progress());
  }

  #checkPaused(): void {
    const { whyPaused } = this.#worker as Worker;
    if (whyPaused.length === 0) return;
    const lead = 'to go on all the same: haltWhen: "never" in the pipeline, or breaker: "off" here';
    throw new MillraceError("MILL_PIPELINE_HALTED", `${whyPaused.join("; ")}; ${lead}`);
  }

  /** Tasks that will not go on by themselves. */
  get stops(): readonly TaskStop[] {
    return (this.#worker as Worker).health().filter((task) => task.state === "stopped");
  }

  #stuck(): string {
    const tasks = (this.#worker as Worker).health().map((task) => JSON.stringify(task));
    return `the simulation does not come to rest: ${tasks.join(" ")}`;
  }

  #progress(): Promise<TaskProgress[]> {
    const ports = { admin: this.#outside.admin(), tableStore: this.#tableStore };
    const all = this.plans.flatMap((plan) => [
      readProgress(plan, ports),
      readRedriveProgress(plan, ports),
    ]);
    return Promise.all(all).then((parts) => parts.flat());
  }

  async #isDrained(): Promise<boolean> {
    const stopped = new Set(this.stops.map(taskKey));
    const progress = await this.#progress();
    const topics = progress.map(({ topic }) => topic);
    const marks = await watermarksOf(late({ admin: this.#outside.admin() }).admin, topics);
    // A topic that is not made yet has no end.
    const isDone = (task: TaskProgress): boolean =>
      task.nextOffset === (marks.get(addressOf(task))?.high ?? null) || this.#isAtMarkers(task);
    return progress.every((task) => stopped.has(taskKey(task)) || isDone(task));
  }

  /** Time goes on by the wall clock where sources are quiet, and one part says so to the next for ever. */
  #isAtMarkers({ topic, partition, nextOffset }: TaskProgress): boolean {
    if (nextOffset === null || !this.plans.some((plan) => isBetween(plan, topic))) return false;
    const rest = this.cluster.recordsFrom({ topic, partition }, nextOffset);
    return rest.every((raw) => marksIn(raw) !== null);
  }

  async readers(): Promise<SchemaCache> {
    const schemas = new SchemaCache(this.#registry, this.#clock);
    await schemas.learn(this.#schemaIds);
    return schemas;
  }
}

const textOf = (schema: AvroSchema): string => JSON.stringify(schema);
