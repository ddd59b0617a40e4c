// The world of one case: a log, a Redis, a Postgres, a registry and workers of the real engine, in virtual time. What
// befalls them is the business of faults.ts; here is what can be asked of the world.
import assert from "node:assert/strict";
import type { Topic } from "#engine";
import { DependencyError, isRetriable } from "../../../src/engine/core/errors.ts";
import type { Bounds } from "../../../src/engine/core/bounds.ts";
import type { AdminPort, KafkaPort } from "../../../src/engine/core/kafka.ts";
import { makeRedrive } from "../../../src/engine/core/late-topics.ts";
import type { Plan, PlanTable } from "../../../src/engine/core/plan.ts";
import type { Meter, SchemaRegistry } from "../../../src/engine/core/ports.ts";
import { headerText, type OutRecord, type TopicName } from "../../../src/engine/core/record.ts";
import { subjectOf, type Codec } from "../../../src/engine/core/schema.ts";
import type { TableSpec } from "../../../src/engine/core/table-layout.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import {
  redrive,
  type RedriveRequest,
  type RedriveResult,
} from "../../../src/engine/letters/commands/redrive.ts";
import { defaultLimits, type WorkerPorts } from "../../../src/engine/runtime/context.ts";
import {
  readProgress,
  type ProgressPorts,
  type TaskProgress,
} from "../../../src/engine/core/progress.ts";
import { Worker } from "../../../src/engine/runtime/worker.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { WorkerSwitch } from "../../../src/engine/testing/doubles/worker-switch.ts";
import type { SimulationCase, SourceRecord } from "./case.ts";
import { Policy } from "./refusals.ts";
import { flowOf, type Flow } from "./flow.ts";
import { marksOf, type Forged } from "./forged.ts";
import { poisonText } from "./oracle/expected.ts";
import { refusing } from "./servers/brokers.ts";
import { SimulatedKafka } from "./servers/kafka.ts";
import { SimulatedPostgres } from "./servers/postgres.ts";
import { SimulatedRedis } from "./servers/redis.ts";
import type { Call, CallVerdict, Strike } from "./servers/points.ts";
import { refuseRow } from "./servers/refusals.ts";
import { areJoinsOpen } from "./joins.ts";
import { areMarkersMissing } from "./markers.ts";
import { areOperatorsOpen } from "./operators/rest.ts";
import { areTimersOwed, hasTimers } from "./timers.ts";
import { areWindowsOpen } from "./windows.ts";

export interface Member {
  readonly name: string;
  readonly worker: Worker;
  readonly port: KafkaPort;
  readonly life: WorkerSwitch;
  /** How far its wall clock is ahead. */
  skewMs: number;
  isLeaving: boolean;
}

/** Short, so that a run is short: what they stand for is in the same proportion as in operation. */
const limits = {
  ...defaultLimits,
  sessionTimeoutMs: 900,
  heartbeatIntervalMs: 150,
  rebalanceTimeoutMs: 2_500,
  transactionTimeoutMs: 1_500,
  idleCheckMs: 400,
  purgeIntervalMs: 1_000,
  markerIntervalMs: 300,
};
export const SESSION_MS = limits.sessionTimeoutMs;
const WORKERS_MAX = 3;
const FORGED_LIMIT_MS = 20_000;
/** Many times what a run needs. */
const CALLS_MAX = 30_000;

/** What is measured changes nothing. */
const deaf: Meter = {
  count: () => undefined,
  gauge: () => undefined,
  observe: () => undefined,
  forget: () => undefined,
};

/** Thrown when something never comes. */
export class Stuck extends Error {}

export class World {
  readonly clock = new FakeClock();
  readonly kafka: SimulatedKafka;
  readonly redis: SimulatedRedis;
  readonly postgres: SimulatedPostgres;
  readonly registry = new MemoryRegistry();
  readonly log = new RecordingLog();
  flow: Flow;
  plan: Plan;
  /** Of workers that join from now on: the ends of a bounded run. */
  bounds: Bounds | null = null;
  readonly case: SimulationCase;
  /** What faults do at each call; nothing once all is calm. */
  strike: Strike = () => ({});
  /** Null where brokers take all. */
  readonly policy: Policy | null;
  /** How often brokers refused a record, by what it was and by why, and how. */
  readonly refusals = new Map<string, number>();
  /** What somebody else has written to the redrive topic. */
  readonly forged: Forged[] = [];
  /** What a run must never come to, told at the end. */
  readonly wrongs: string[] = [];
  members: Member[] = [];
  /** A hash of every call and every sleep, in order: two runs of one case have the same. */
  trace = 0;
  calls = 0;
  readonly #outside: KafkaPort;
  /** How source values are written. */
  readonly codec: Codec;
  readonly #seeded: ReturnType<typeof seededRandom>;
  /** Of connections that spoil what they carry: drawn apart. */
  readonly #spoiling: ReturnType<typeof seededRandom>;
  #joined = 0;

  constructor(of: SimulationCase, flow: Flow = flowOf(of.flow)) {
    this.case = of;
    this.flow = flow;
    this.plan = this.flow.pipeline.plan();
    const now = (): number => this.clock.now();
    // Where a clock is set forward, a timer may be early.
    if (!of.faults.some(({ kind }) => kind === "clock forward")) this.flow.wall.now = now;
    this.#seeded = seededRandom(of.seed);
    this.kafka = new SimulatedKafka(this.clock, of.sizes.batchRecordsMax);
    const strike: Strike = (call) => this.#seen(call);
    this.redis = new SimulatedRedis(this.clock, strike);
    this.postgres = new SimulatedPostgres(this.clock, strike);
    if (of.flow.refuses) this.postgres.refuses = refuseRow;
    const { salt } = of.flow;
    this.policy = salt === undefined ? null : new Policy(of.flow, salt);
    this.#spoiling = seededRandom(of.seed ^ 0x2c0de);
    this.#outside = this.kafka.port();
    this.kafka.watch(({ worker, request }) =>
      this.#ofMember(worker) === null
        ? undefined
        : (this.#seen({ server: "kafka", call: request, worker }) as never),
    );
    this.#createTopics();
    const [source] = this.flow.sources;
    const { format } = (source as Topic<unknown, unknown>).value;
    const text = format.kind === "avro" ? JSON.stringify(format.schema) : "";
    const id =
      text === "" ? null : this.registry.force(subjectOf(source?.name ?? "", "value"), text);
    const schemas = new Map(id === null ? [] : [[id, text]]);
    this.codec = compileCodec(format, { schemas, writerId: id });
  }

  #createTopics(): void {
    const { topics, deadLetters, meta } = this.plan;
    for (const { name, partitions, config } of topics.all)
      this.kafka.createTopic({ topic: name, partitions, config });
    this.kafka.createTopic({ topic: deadLetters, partitions: 2 });
    const config = { "cleanup.policy": "compact" };
    this.kafka.createTopic({ topic: meta, partitions: 1, config });
  }

  #ofMember(worker: WorkerSwitch | null): Member | null {
    return this.members.find(({ life }) => life === worker) ?? null;
  }

  #seen(call: Call): Promise<CallVerdict> | CallVerdict {
    this.calls++;
    const name = this.#ofMember(call.worker)?.name ?? "";
    for (const text of [call.server, call.call, name, String(this.clock.now())])
      for (let i = 0; i < text.length; i++)
        this.trace = (Math.imul(this.trace, 31) + text.charCodeAt(i)) | 0;
    if (this.calls > CALLS_MAX) return this.#endless();
    const verdict = this.strike(call);
    const slow = this.case.sizes.slowCalls;
    return call.server === "clock" || slow === 0 ? verdict : this.#onItsWay(verdict, slow);
  }

  /** Somebody goes round and round: nothing is answered any more, so that the run comes to an end. */
  #endless(): Promise<never> {
    const told = "calls without end";
    if (!this.wrongs.includes(told)) this.wrongs.push(told);
    return new Promise(() => undefined);
  }

  /** Some calls take time on their way there, or back. */
  async #onItsWay(struck: Promise<CallVerdict> | CallVerdict, slow: number): Promise<CallVerdict> {
    const verdict = await struck;
    const [there, back] = [this.#latencyMs(slow), this.#latencyMs(slow)];
    if (there > 0) await this.clock.sleep(there);
    if (back === 0) return verdict;
    const taken = async (): Promise<void> => {
      await verdict.taken?.();
      await this.clock.sleep(back);
    };
    return { ...verdict, taken };
  }

  #latencyMs(slow: number): number {
    return this.#seeded.next() < slow ? 1 + Math.floor(this.#seeded.next() ** 3 * 40) : 0;
  }

  /** Workers that run, or stand still for a while. */
  get living(): readonly Member[] {
    return this.members.filter(({ life, isLeaving }) => life.state !== "crashed" && !isLeaving);
  }

  /** Starts one more worker, if there is room for one. */
  join(): boolean {
    if (this.living.length >= WORKERS_MAX) return false;
    const life = new WorkerSwitch();
    const port = this.kafka.port(life);
    const name = `w${String(++this.#joined)}`;
    const { checkpointIntervalMs, checkpointRecordsMax, sliceRecordsMax } = this.case.sizes;
    const { inboxBytesMax, cacheBytesMax } = this.case.sizes;
    const sizes = { checkpointIntervalMs, checkpointRecordsMax, sliceRecordsMax };
    const own = { ...limits, ...sizes, inboxBytesMax, cacheBytesMax };
    // A size under a name that the engine does not know would be none.
    assert.deepEqual(Object.keys(own).toSorted(), Object.keys(limits).toSorted());
    const worker = new Worker([this.plan], this.#portsOf(name, port, life), own);
    const member: Member = { name, worker, port, life, skewMs: 0, isLeaving: false };
    this.members.push(member);
    const ended = (error: unknown): void => {
      if (error !== null && life.state !== "crashed" && !member.isLeaving)
        this.wrongs.push(`worker ${name} has ended: ${String(error)}`);
    };
    worker.start().catch(ended);
    worker.ended.then(ended, ended);
    return true;
  }

  #portsOf(name: string, kafka: KafkaPort, life: WorkerSwitch): WorkerPorts {
    const inMemory = memoryCopies();
    const inRedis = this.redis.copies(life);
    const pool = this.postgres.pool(life);
    const clock = {
      now: () => this.clock.now() + (this.#ofMember(life)?.skewMs ?? 0),
      monotonic: () => this.clock.monotonic(),
      sleep: async (ms: number, signal?: AbortSignal) => {
        await this.clock.sleep(ms, signal);
        await life.passed();
        await this.#seen({ server: "clock", call: "sleep", worker: life });
        await life.passed();
      },
    };
    return {
      kafka: this.#brokersOf(kafka, life),
      registry: this.#registryOf(life),
      tableStore: ({ declaration }: PlanTable) =>
        postgresTableStore(pool, declaration as TableSpec, { clock }),
      checkTables: () => Promise.resolve([]),
      stateCopies: (kind) => (kind === "redis" ? inRedis : inMemory),
      clock,
      random: { next: () => this.#seeded.next(), token: () => name },
      log: this.log,
      meter: deaf,
      ...(this.bounds === null ? {} : { bounds: this.bounds }),
    };
  }

  #brokersOf(port: KafkaPort, worker: WorkerSwitch): KafkaPort {
    if (this.policy === null) return port;
    return refusing(port, {
      ...{ clock: this.clock, random: this.#spoiling, worker, policy: this.policy },
      count: (what) => void this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1),
      passed: async (call) => {
        await worker.passed();
        const { lose, taken } = await this.#seen({ server: "kafka", call, worker });
        await worker.passed();
        if (!this.kafka.isAvailable || lose !== undefined)
          throw new DependencyError("MILL_KAFKA_UNAVAILABLE", `no broker answers to ${call}`);
        await taken?.();
        await worker.passed();
      },
    });
  }

  #registryOf(worker: WorkerSwitch): SchemaRegistry {
    const call = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      await worker.passed();
      const verdict = await this.#seen({ server: "registry", call: name, worker });
      await worker.passed();
      if (verdict.lose !== undefined) this.registry.setAvailable(false);
      // The call is made in this same turn.
      const result = work();
      if (verdict.lose !== undefined) this.registry.setAvailable(true);
      return result;
    };
    return {
      schemaById: (id) => call("schemaById", () => this.registry.schemaById(id)),
      idOf: (subject, schema) => call("idOf", () => this.registry.idOf(subject, schema)),
      latest: (subject) => call("latest", () => this.registry.latest(subject)),
      register: (subject, schema) =>
        call("register", () => this.registry.register(subject, schema)),
    };
  }

  /** All workers have left, and those that join from now on run this version, whose topics may have more partitions. */
  async deploy(flow: Flow): Promise<void> {
    for (const member of this.living) {
      member.isLeaving = true;
      await this.during(member.worker.stop());
    }
    const before = new Map(this.plan.topics.all.map(({ name, partitions }) => [name, partitions]));
    [this.flow, this.plan] = [flow, flow.pipeline.plan()];
    for (const { name, partitions } of this.plan.topics.all)
      if (partitions > (before.get(name) ?? partitions)) this.kafka.widenTopic(name, partitions);
  }

  /** A worker that says goodbye. */
  leave(member: Member): void {
    member.isLeaving = true;
    member.worker
      .stop()
      .catch((error: unknown) =>
        this.wrongs.push(`worker ${member.name} cannot stop: ${String(error)}`),
      );
  }

  /** Somebody else writes to the redrive topic. */
  async forge(all: readonly Forged[]): Promise<void> {
    for (const one of all) {
      if (!(await this.#unlessAway(this.#outside.producer().send([one.record])))) continue;
      this.forged.push(one);
      const name = `forged redrive ${one.kind}`;
      this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
    }
  }

  /** Lets virtual time pass until each of these is a letter, or for a while: it is checked then. */
  async forgedTaken(): Promise<void> {
    const { deadLetters, redrive: topic } = this.plan;
    const isTaken = (): boolean =>
      this.kafka
        .records(deadLetters, { committed: true })
        .filter(({ headers }) => headerText(headers, "dlq.topic") === topic).length >=
      this.forged.length;
    for (let spentMs = 0; !isTaken() && spentMs < FORGED_LIMIT_MS; spentMs += 250)
      await this.clock.advance(250);
  }

  /** False while Kafka is away: then nothing of it was written. */
  send(records: readonly SourceRecord[]): Promise<boolean> {
    return this.#unlessAway(
      this.#outside.producer().send(records.map((record) => this.#recordOf(record))),
    );
  }

  /** The topics of a first redrive appear while workers run. False while Kafka is away. */
  makeRedriveTopics(): Promise<boolean> {
    return this.#unlessAway(makeRedrive(this.plan, { admin: this.#outside.admin() }));
  }

  #unlessAway(work: Promise<unknown>): Promise<boolean> {
    return this.during(
      work.then(
        () => true,
        (error: unknown) => {
          if (isRetriable(error)) return false;
          throw error;
        },
      ),
    );
  }

  #recordOf(record: SourceRecord): OutRecord {
    const { source, partition, key, timestamp, value } = record;
    const bytes = value === null ? null : this.codec.encode(value);
    return {
      topic: this.flow.sources[source]?.name ?? "",
      partition,
      key: key === null ? null : Buffer.from(key),
      value: record.isPoison === true ? Buffer.from(poisonText(record)) : bytes,
      headers: marksOf(this.case, record),
      timestamp,
    };
  }

  /** Lets virtual time pass until the promise has settled. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    // The caller awaits `marked`; this copy only keeps an early rejection from being unhandled.
    marked.catch(() => undefined);
    if (!(await this.clock.advanceUntil(() => isDone, 60_000)))
      throw new Stuck("a call never ends");
    return marked;
  }

  /** An operator sends letters back, once. */
  redrive(isChosen: RedriveRequest["isChosen"]): Promise<RedriveResult> {
    const pool = this.postgres.pool(new WorkerSwitch());
    const ports = {
      ...{ kafka: this.#outside, admin: this.#outside.admin(), clock: this.clock },
      tableStore: ({ declaration }: PlanTable) =>
        postgresTableStore(pool, declaration as TableSpec, { clock: this.clock }),
      stateCopies: () => memoryCopies(),
    };
    const request = { job: "again", redrivesMax: 3, ratePerS: null, isChosen };
    return this.during(redrive(this.plan, request, ports));
  }

  /** Decided progress of every task, read from outside. */
  progress(): Promise<TaskProgress[]> {
    return this.during(readProgress(this.plan, this.outsidePorts()));
  }

  outsidePorts(): ProgressPorts & { readonly admin: AdminPort } {
    const pool = this.postgres.pool(new WorkerSwitch());
    return {
      admin: this.#outside.admin(),
      tableStore: ({ declaration }: PlanTable) =>
        postgresTableStore(pool, declaration as TableSpec, { clock: this.clock }),
    };
  }

  /** Lets virtual time pass until every task is at the end of its topics, nothing is owed, and so it stays. */
  async drained(limitMs: number): Promise<readonly TaskProgress[]> {
    let quiet = 0;
    for (let spentMs = 0; spentMs < limitMs; spentMs += 250) {
      await this.clock.advance(250);
      const progress = await this.progress();
      const isDone = progress.every(
        (task) => task.nextOffset === this.kafka.offsets(task).high && !this.#owesLetters(),
      );
      const isCalm = isDone && !this.#isHeldUp() && !(await this.#owesTime());
      quiet = isCalm ? quiet + 1 : 0;
      if (quiet === 2) return progress;
    }
    const states = this.living.flatMap(({ name, worker }) =>
      worker.health().map((task) => `${name} ${JSON.stringify(task)}`),
    );
    throw new Stuck(`it does not come to rest: ${states.join(" ") || "no worker"}`);
  }

  /** Timers that are due, or watermarks that the parts behind have not heard of. */
  async #owesTime(): Promise<boolean> {
    const admin = this.#outside.admin();
    if (await this.during(areMarkersMissing(this.plan, admin))) return true;
    const entriesOf = (topic: TopicName) => this.kafka.records(topic, { committed: true });
    if (areWindowsOpen(this.case, this.plan, entriesOf)) return true;
    if (areJoinsOpen(this.case, this.plan, entriesOf)) return true;
    if (areOperatorsOpen(this.case, this.plan, entriesOf)) return true;
    if (!hasTimers(this.plan)) return false;
    return this.during(areTimersOwed(this.plan, admin, entriesOf));
  }

  /** An outbox whose letters are refused waits for some seconds. */
  #isHeldUp(): boolean {
    const tasks = this.living.flatMap(({ worker }) => worker.health());
    return tasks.some(({ state }) => state === "paused");
  }

  /** After a failover the database may not know that a letter was sent; the next owner sends it again. */
  #owesLetters(): boolean {
    if (this.postgres.failovers > 0) return false;
    for (const name of this.postgres.committed.keys()) if (name.startsWith("letter ")) return true;
    return false;
  }
}
