// A live pipeline, a run that follows it, and a promotion, in memory and in virtual time. Records come all the while; the
// promotion can die at any of its requests, and somebody else goes on with it.
import assert from "node:assert/strict";
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";
import type { Plan, PlanTable } from "../../src/engine/core/plan.ts";
import { reset } from "../../src/engine/operate/reset.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { placesOf } from "../../src/engine/operate/places.ts";
import { watchRun } from "../../src/engine/reprocess/control/controller.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import type { ReprocessPorts } from "../../src/engine/reprocess/words/ports.ts";
import { giveBack } from "../../src/engine/reprocess/promote/step-run.ts";
import type { PromotePorts } from "../../src/engine/reprocess/promote/ports.ts";
import { detailOf } from "../../src/engine/reprocess/words/steps.ts";
import { promote } from "../../src/engine/reprocess/promote/promotion.ts";
import { beginPromotion } from "../../src/engine/reprocess/promote/readiness.ts";
import { beginUndo, undo } from "../../src/engine/reprocess/promote/undo.ts";
import { RunBounds } from "../../src/engine/reprocess/run/bounds.ts";
import type { Swapping } from "../../src/engine/reprocess/swap/turns.ts";
import type { RunChanges } from "../../src/engine/reprocess/words/rows.ts";
import {
  FOLLOWING,
  isWorking,
  noCounts,
  type RunRow,
  type RunState,
} from "../../src/engine/reprocess/words/run.ts";
import { ledgerOfPart } from "../../src/engine/core/progress.ts";
import { workerClock, WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { Fleet, type FleetMember } from "./fleet.ts";
import { things, type Thing } from "./plans.ts";

interface Total {
  readonly id: string;
  readonly total: number;
}

export const input: Topic<string, Thing> = things("in", 2);
const fields = (name: string, type: string) => [
  { name: "id", type: "string" },
  { name, type },
];
const shape = { key: string, partitions: 2, owner: "tests" };
const sums = topic("sums", { ...shape, value: json<Total>() });
/** Read by a table straight from a topic of others. */
const seen = postgresTable<Thing>("seen", {
  row: avro({ type: "record", name: "Seen", namespace: "t", fields: fields("n", "int") }),
  key: ["id", "n"],
});
/** Behind a repartition topic, a store and a topic of the pipeline's own. */
const totals = postgresTable<Total>("totals", {
  row: avro({ type: "record", name: "Total", namespace: "t", fields: fields("total", "int") }),
  key: ["id"],
});
/** The rule of the run may count records of this key as one more. */
const BONUS = "k1";
const countingWith = (bonus: number): Pipeline =>
  pipeline("counting", { state: "memory" }, ({ from }) => {
    from(input).upsertInto(seen);
    from(input)
      .groupBy("by-id", ({ id }) => id)
      .sum("total", ({ id, n }) => n + (id === BONUS ? bonus : 0))
      .map("as-total", (total, { key }) => ({ id: key, total }))
      .to(sums);
    from(sums).upsertInto(totals);
  });
const asPipeline = (plan: Plan): Pipeline => ({
  kind: "pipeline",
  name: plan.pipeline,
  plan: () => plan,
});
const RUN = 7;
const KEYS = 3;

/** A run at work, on tables of its own. */
export const rowOf = ({
  follow,
  ...given
}: Pick<RunRow, "pipeline" | "run" | "step" | "range"> & { readonly follow: boolean }): RunRow => ({
  ...given,
  state: "running",
  target: "shadow",
  options: {
    source: { kind: "kafka" },
    rate: null,
    lagLimitMs: 10_000,
    workers: 1,
    follow,
    lettersMax: null,
    staged: [],
  },
  rateLimit: null,
  counts: noCounts,
  detail: {},
  createdMs: 0,
  updatedMs: 0,
  finishedMs: null,
  error: null,
});

/** `millrace.runs` with one row, as whoever may die reaches it. */
export class Row {
  row: RunRow;
  /** Told of every step, once it stands there. */
  onStep: (step: string) => void = () => undefined;

  constructor(row: RunRow) {
    this.row = row;
  }

  reached(life: WorkerSwitch) {
    const through = async <T>(work: () => T): Promise<T> => {
      await life.passed();
      const done = work();
      await life.passed();
      return structuredClone(done);
    };
    return {
      find: () => through(() => this.row),
      list: () => through(() => [this.row]),
      update: (_at: unknown, changes: RunChanges, states: readonly RunState[] | null = null) =>
        through(() => this.#update(changes, states)),
    };
  }

  #update(changes: RunChanges, states: readonly RunState[] | null): RunRow | null {
    if (states !== null && !states.includes(this.row.state)) return null;
    const { step } = this.row;
    this.row = structuredClone({ ...this.row, ...changes });
    if (this.row.step !== step) this.onStep(this.row.step ?? "");
    return this.row;
  }
}

export class PromoteScene {
  readonly live: Plan;
  readonly shadow: Plan;
  readonly fleet: Fleet;
  readonly #bonus: number;
  readonly runs: Row;
  readonly said: string[] = [];
  /** Whether a promotion emits corrections. */
  corrections = false;
  readonly #counts = new Map<string, number>();
  #sent = 0;
  #spoiled = 0;
  #isFlowing = false;
  readonly #life = new AbortController();

  /** With a bonus, the run has another rule than live. `flowOf`: the pipeline of each. */
  constructor(bonus = 0, flowOf: (bonus: number) => Pipeline = countingWith) {
    this.#bonus = bonus;
    this.live = flowOf(0).plan();
    const how = { run: RUN, target: "shadow", staged: [], pins: new Map() } as const;
    this.shadow = shadowOf(flowOf(bonus).plan(), how);
    this.fleet = new Fleet([flowOf(0), asPipeline(this.shadow)]);
    const places = this.live.parts
      .filter(({ sources }) => sources[0]?.name === input.name)
      .flatMap(({ name }) =>
        [0, 1].map((partition) => ({
          part: name,
          topic: input.name,
          partition,
          from: 0n,
          to: 0n,
        })),
      );
    this.runs = new Row(
      rowOf({
        pipeline: this.live.pipeline,
        run: RUN,
        step: FOLLOWING,
        range: { places, own: [], pins: {} },
        follow: true,
      }),
    );
  }

  async send(count: number): Promise<void> {
    await this.fleet.sendRecords(this.#next(count));
  }

  #next(count: number) {
    return Array.from({ length: count }, () => {
      const n = ++this.#sent;
      const id = `k${String(n % KEYS)}`;
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + n);
      return {
        topic: input.name,
        partition: n % 2,
        key: Buffer.from(id),
        value: Buffer.from(JSON.stringify({ id, n })),
        headers: [],
        timestamp: this.fleet.clock.now(),
      };
    });
  }

  /** Records that become dead letters of both parts that read them. */
  async spoil(count: number): Promise<void> {
    const bytes = Buffer.from("no json");
    this.#spoiled += count;
    await this.fleet.send(input.name, Array<Buffer>(count).fill(bytes));
  }

  /** Letters of live that nobody has dealt with. */
  async openLetters(): Promise<number> {
    const ports = this.#portsOf(new WorkerSwitch());
    const { letters } = await this.fleet.during(readLetters(this.live, ports));
    return letters.filter(({ state }) => state.state === "open").length;
  }

  /** Two records every 100 ms, until it pauses. */
  flow(): void {
    this.#isFlowing = true;
    const producer = this.fleet.kafka.port().producer();
    const flowing = async (): Promise<void> => {
      while (this.#isFlowing) {
        await producer.send(this.#next(2));
        await this.fleet.clock.sleep(100);
      }
    };
    void flowing();
  }

  pause(): void {
    this.#isFlowing = false;
  }

  joinLive(): Promise<FleetMember> {
    return this.fleet.join({ plans: [this.live] });
  }

  /** Puts the run at the beginning, and has it follow live. */
  async startRun(): Promise<void> {
    await this.fleet.during(this.#putStarts());
    await this.#work();
    const ports = this.#portsOf(new WorkerSwitch()) as unknown as ReprocessPorts;
    const watching = { plan: this.live, shadow: this.shadow, ports, signal: this.#life.signal };
    void watchRun(this.runs.row, {
      ...watching,
      report: () => undefined,
      waiting: () => undefined,
    });
  }

  end(): void {
    this.pause();
    this.#life.abort(new Error("the test is over"));
  }

  async #putStarts(): Promise<void> {
    const ports = this.#portsOf(new WorkerSwitch());
    const moves = (await placesOf(this.shadow, this.shadow.parts, ports)).map((place) => ({
      place,
      to: place.low,
    }));
    const topics = [...new Set(moves.map(({ place }) => place.topic))];
    const described = await ports.admin.describeTopics(topics);
    const ids = new Map(topics.map((name) => [name, described.get(name)?.id ?? ""]));
    await reset(
      { plan: this.shadow, moves, stores: [], active: [], ids, readings: [], former: [] },
      ports,
    );
  }

  /** A worker of the run; it ends when the run is at work no more. */
  async #work(): Promise<void> {
    const bounds = new RunBounds(this.shadow, this.runs.row);
    const { worker } = await this.fleet.join({ plans: [this.shadow], ports: { bounds } });
    const following = async (): Promise<void> => {
      while (isWorking(this.runs.row) && !this.#life.signal.aborted) {
        bounds.set(this.runs.row);
        await this.fleet.clock.sleep(1_000);
      }
      await worker.stop();
    };
    void following();
  }

  #portsOf(life: WorkerSwitch): PromotePorts {
    const kafka = this.fleet.kafka.port(life);
    const { tables, registry, copies, clock } = this.fleet;
    return {
      kafka,
      admin: kafka.admin(),
      clock: workerClock(clock, life),
      registry,
      tableStore: ({ declaration }: PlanTable) => tables.store(declaration as typeof totals, life),
      stateCopies: () => copies,
      runs: this.runs.reached(life) as unknown as PromotePorts["runs"],
      tables: {
        obstacles: async () => [],
        swap: async (swapping) => {
          await life.passed();
          this.#swap(swapping);
          await life.passed();
        },
      },
      follow: () => Promise.resolve({ ended: new Promise<string>(() => undefined) }),
      say: (line) => void this.said.push(line),
    };
  }

  /** In one piece, as a transaction is. */
  #swap({ turns, moves, from, to }: Swapping): void {
    if (this.runs.row.step === to) return;
    assert.equal(this.runs.row.step, from);
    for (const turn of turns) this.fleet.tables.turn(turn);
    for (const { task, nextOffset, ledger } of moves)
      this.fleet.tables.move(task, {
        ...(nextOffset === null ? {} : { nextOffset }),
        ...(ledger === null ? {} : { ledger }),
      });
    this.runs.row = { ...this.runs.row, step: to };
    this.runs.onStep(to);
  }

  /** Promotes, or goes on with it, as a process that lives as long as `life`. */
  async promote(life: WorkerSwitch = new WorkerSwitch()): Promise<void> {
    const ports = this.#portsOf(life);
    const { corrections } = this;
    const { row } = this.runs;
    const how = { plan: this.live, limitMs: 60_000 };
    const wish = { hold: false, corrections, lagMaxMs: 5_000 };
    const begun =
      row.state === "promoting" ? row : await beginPromotion(row, { plan: this.live, wish }, ports);
    await promote(begun, how, ports);
  }

  async undo(life: WorkerSwitch = new WorkerSwitch()): Promise<void> {
    const ports = this.#portsOf(life);
    const { row } = this.runs;
    const begun =
      row.state === "promoting"
        ? row
        : await beginUndo(row, { plan: this.live, hold: false }, ports);
    await undo(begun, { plan: this.live, limitMs: 60_000 }, ports);
  }

  async abort(): Promise<void> {
    const how = { plan: this.live, limitMs: 60_000 };
    await giveBack(this.runs.row, how, this.#portsOf(new WorkerSwitch()));
  }

  /** Until live has worked off everything; the run may have ended. */
  async atRest(): Promise<void> {
    const isThrough = async (): Promise<boolean> => {
      const consumed = await this.#consumed();
      const isCounted = JSON.stringify(this.made) === JSON.stringify(this.expected);
      return isCounted && consumed.every((n) => n === this.#sent + this.#spoiled);
    };
    for (let spent = 0; !(await isThrough()); spent++) {
      assert.ok(spent < 60, `${await this.#story()}\n${this.said.join("\n")}`);
      await this.fleet.clock.advance(1_000);
    }
  }

  async #story(): Promise<string> {
    return JSON.stringify({ sent: this.#sent, consumed: await this.#consumed(), ...this.made });
  }

  /** By the live ledgers: what each part that reads the input has consumed. */
  async #consumed(): Promise<readonly number[]> {
    const progress = await this.fleet.progress();
    const own = progress.filter(({ pipeline }) => pipeline === this.live.pipeline);
    const parts = this.runs.row.range.places.map(({ part }) => part);
    return [...new Set(parts)].map((part) => ledgerOfPart(own, part).consumed);
  }

  /** What the run's rule has added, in the place of live: to the records below where live was stopped. */
  get #added(): number {
    const { positions } = detailOf(this.runs.row) ?? {};
    if (this.runs.row.state !== "promoted" || positions === undefined || positions === null)
      return 0;
    const [{ part } = { part: "" }] = this.runs.row.range.places;
    const ends = positions.filter((at) => at.part === part);
    const counted = this.fleet.kafka
      .records(input.name, { committed: true })
      .filter(({ key }) => String(key) === BONUS)
      .filter((raw) =>
        ends.some((at) => at.partition === raw.partition && raw.offset < at.nextOffset),
      );
    return counted.length * this.#bonus;
  }

  /** Every value of the output topic. */
  get output(): readonly Total[] {
    return this.fleet.values(sums);
  }

  get expected(): { totals: readonly Total[]; seen: number } {
    const all = [...this.#counts].map(([id, total]) => ({
      id,
      total: total + (id === BONUS ? this.#added : 0),
    }));
    return { totals: all.sort((a, b) => (a.id < b.id ? -1 : 1)), seen: this.#sent };
  }

  get made(): { totals: readonly Total[]; seen: number } {
    const rows = this.fleet.tables.rows(totals) as unknown as readonly Total[];
    return { totals: rows, seen: this.fleet.tables.rows(seen).length };
  }
}
