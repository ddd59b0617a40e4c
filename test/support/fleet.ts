// Several workers on one cluster, one database and one registry in memory, in virtual time. `simulate()` has one worker
// at a time; here a zombie and the new owner of its partitions live side by side, each stopped at an exact request.
import assert from "node:assert/strict";
import type { Pipeline, PostgresTable, Topic } from "#engine";
import type { KafkaPort } from "../../src/engine/core/kafka.ts";
import { late, makeRedrive } from "../../src/engine/core/late-topics.ts";
import { ledgerTotals } from "../../src/engine/core/ledger.ts";
import type { Plan, PlanTable } from "../../src/engine/core/plan.ts";
import type { TableStore } from "../../src/engine/core/ports.ts";
import type { StateCopies } from "../../src/engine/core/state.ts";
import { watermarksOf } from "../../src/engine/core/read-range.ts";
import { addressOf, headerText, type OutRecord } from "../../src/engine/core/record.ts";
import {
  defaultLimits,
  type WorkerLimits,
  type WorkerPorts,
} from "../../src/engine/runtime/context.ts";
import {
  ledgerOfPart,
  readProgress,
  readRedriveProgress,
  type TaskProgress,
} from "../../src/engine/core/progress.ts";
import { Worker } from "../../src/engine/runtime/worker.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { switchedCopies } from "../../src/engine/testing/doubles/switched-copies.ts";
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { RecordingMeter } from "../../src/engine/testing/doubles/recording-meter.ts";
import { workerClock, WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { MemoryKafka } from "../../src/engine/testing/memory-kafka.ts";
import type {
  KafkaRequest,
  Watcher,
} from "../../src/engine/testing/memory-kafka/broker/conditions.ts";
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";

/** One worker of the fleet. `owner` is its transactional id. */
export interface FleetMember {
  readonly worker: Worker;
  readonly port: KafkaPort;
  readonly life: WorkerSwitch;
  readonly owner: string;
}

/** A request that is held up: `isReached` when it is about to be sent. */
export interface Hold {
  isReached(): boolean;
  release(): void;
}

interface Joining {
  readonly plans?: readonly Plan[];
  readonly ports?: Pick<WorkerPorts, "bounds" | "pace" | "loop">;
}

type WrapStore = (store: TableStore, table: PlanTable) => TableStore;

export class Fleet {
  readonly clock = new FakeClock();
  readonly kafka: MemoryKafka = new MemoryKafka(this.clock);
  readonly registry = new MemoryRegistry();
  readonly log = new RecordingLog();
  readonly meter = new RecordingMeter();
  /** In the place of Redis, for workers that join from now on. */
  copies: StateCopies = memoryCopies();
  /** The database of workers that join from now on. */
  tables = new MemoryTables();
  /** Around the stores of workers that join from now on. */
  wrapStore: WrapStore = (store) => store;
  /** Opens what callbacks call. */
  openResource: NonNullable<WorkerPorts["openResource"]> = () =>
    Promise.reject(new Error("the fleet has no resources"));
  /** Around the ports to Kafka of workers that join from now on. */
  wrapPort: (port: KafkaPort) => KafkaPort = (port) => port;
  /** Sees every request that no hold is for, before it is sent. */
  watcher: Watcher = () => undefined;
  readonly plans: readonly Plan[];
  readonly #limits: WorkerLimits;
  readonly #outside = this.kafka.port();
  readonly #producer = this.#outside.producer();
  readonly #admin = this.#outside.admin();
  readonly #holds: { life: WorkerSwitch; request: KafkaRequest; hold: () => Promise<void> }[] = [];
  #count = 0;

  constructor(pipelines: readonly Pipeline[], limits: Partial<WorkerLimits> = {}) {
    this.plans = pipelines.map((pipeline) => pipeline.plan());
    this.#limits = { ...defaultLimits, ...limits };
    for (const { topics, deadLetters, meta } of this.plans) {
      for (const { name, partitions, config } of topics.all)
        this.kafka.createTopic({ topic: name, partitions, config });
      this.kafka.createTopic({ topic: deadLetters, partitions: 2 });
      this.kafka.createTopic({ topic: meta, partitions: 1 });
    }
    this.kafka.watch((call) => {
      const { worker, request } = call;
      const at = this.#holds.findIndex((one) => one.life === worker && one.request === request);
      return at < 0 ? this.watcher(call) : this.#holds.splice(at, 1)[0]?.hold();
    });
  }

  /** Starts one more worker; resolves when it has joined its groups. Of all plans, without bounds, unless said otherwise. */
  async join(how: Joining = {}): Promise<FleetMember> {
    const life = new WorkerSwitch();
    const port = this.kafka.port(life);
    const name = `w${String(++this.#count)}`;
    const { copies } = this;
    const own = memoryCopies();
    const ports: WorkerPorts = {
      kafka: this.wrapPort(port),
      registry: this.registry,
      tableStore: (table) =>
        this.wrapStore(
          this.tables.store(table.declaration as PostgresTable<unknown>, life, table.corrects),
          table,
        ),
      checkTables: () => Promise.resolve([]),
      openResource: (resource) => this.openResource(resource),
      stateCopies: (kind) => (kind === "redis" ? switchedCopies(copies, life) : own),
      clock: workerClock(this.clock, life),
      random: { next: () => 0.5, token: () => name },
      log: this.log,
      meter: this.meter,
      ...how.ports,
    };
    const worker = new Worker(how.plans ?? this.plans, ports, this.#limits);
    await this.during(worker.start());
    return { worker, port, life, owner: `millrace-${name}` };
  }

  /** Holds the member's next request of this kind until it is released. */
  hold({ life }: FleetMember, request: KafkaRequest): Hold {
    let isReached = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    const hold = (): Promise<void> => {
      isReached = true;
      return promise;
    };
    this.#holds.push({ life, request, hold });
    return { isReached: () => isReached, release: resolve };
  }

  /** Records of one topic, as bytes or as JSON; partition 0 unless said otherwise. */
  send(topic: string, values: readonly unknown[], partition = 0): Promise<void> {
    const records = values.map((value): OutRecord => ({
      topic,
      partition,
      key: Buffer.from("k"),
      value: Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
      headers: [],
      timestamp: this.clock.now(),
    }));
    return this.sendRecords(records);
  }

  sendRecords(records: readonly OutRecord[]): Promise<void> {
    return this.during(this.#producer.send(records));
  }

  /** The topics that the first redrive makes, before there was one. */
  makeRedriveTopics(): Promise<unknown> {
    const ports = { admin: this.#admin };
    return this.during(Promise.all(this.plans.map((plan) => makeRedrive(plan, ports))));
  }

  /** As retention does: what lies below is gone from partition 0. */
  deleteRecords(topic: string, nextOffset: bigint): Promise<void> {
    return this.during(this.#admin.deleteRecords([{ topic, partition: 0, nextOffset }]));
  }

  /** Lets virtual time pass until the promise has settled. */
  async during<T>(work: Promise<T>, limitMs = 120_000): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    // The caller awaits `marked`; this copy only keeps an early rejection from being unhandled.
    marked.catch(() => undefined);
    assert.ok(await this.clock.advanceUntil(() => isDone, limitMs), "it never ends");
    return marked;
  }

  /** Lets virtual time pass until the test holds. */
  async until(what: string, isSo: () => boolean, limitMs = 120_000): Promise<void> {
    assert.ok(await this.clock.advanceUntil(isSo, limitMs), `never so: ${what}`);
  }

  /** Lets virtual time pass until every task has decided progress to the end of its topics, and a little longer. */
  async drained(): Promise<readonly TaskProgress[]> {
    for (let spent = 0; spent < 120; spent++) {
      await this.clock.advance(1_000);
      const progress = await this.progress();
      const back = await this.#progress(readRedriveProgress);
      const all = [...progress, ...back];
      const { admin } = late({ admin: this.#admin });
      const topics = all.map(({ topic }) => topic);
      const marks = await this.during(watermarksOf(admin, topics));
      // A topic that is not made yet has no end, and nobody has come anywhere in it.
      const endOf = (at: TaskProgress): bigint | null => marks.get(addressOf(at))?.high ?? null;
      if (all.every((at) => at.nextOffset === endOf(at))) return progress;
    }
    return assert.fail("the fleet does not come to rest");
  }

  /** Decided progress of every task, read from outside. */
  progress(): Promise<TaskProgress[]> {
    return this.#progress(readProgress);
  }

  #progress(read: typeof readProgress): Promise<TaskProgress[]> {
    const ports = {
      admin: this.#admin,
      tableStore: ({ declaration }: PlanTable) =>
        this.tables.store(declaration as PostgresTable<unknown>),
    };
    const all = Promise.all(this.plans.map((plan) => read(plan, ports)));
    return this.during(all.then((parts) => parts.flat()));
  }

  /** Totals of one part's decided ledger. */
  async ledger(part: string): Promise<Record<string, number>> {
    const all = [...(await this.progress()), ...(await this.#progress(readRedriveProgress))];
    return ledgerTotals(ledgerOfPart(all, part));
  }

  /** What committed readers see of a topic, decoded. */
  values<V>(topic: Topic<string, V>): V[] {
    return this.kafka
      .records(topic.name, { committed: true })
      .map(({ value }) => JSON.parse(String(value)) as V);
  }

  /** Source offsets of the dead letters of all pipelines, as committed readers see them. */
  letters(): { offset: string | null; code: string | null; id: string | null }[] {
    return this.plans
      .flatMap(({ deadLetters }) => this.kafka.records(deadLetters, { committed: true }))
      .map(({ headers }) => ({
        offset: headerText(headers, "dlq.offset"),
        code: headerText(headers, "dlq.code"),
        id: headerText(headers, "dlq.id"),
      }));
  }
}
