// State under many faults at once, drawn from a seed: workers come, go, die and stand still, copies are lost, put back and
// away, answers and markers come late. A failing seed is named in the message, and repeats.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Random } from "../../src/engine/core/ports.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { FleetMember } from "../support/fleet.ts";
import { someLoads, StateFleet, stateFlow } from "../support/state-flow.ts";

const SEEDS = 12;
const STEPS = 30;
const WORKERS_MAX = 3;

/** The fleet in the hand of a seed. */
class Chaos {
  readonly fleet: StateFleet;
  readonly told: string[] = [];
  readonly #random: Random;
  #members: FleetMember[] = [];
  readonly #frozen: FleetMember[] = [];
  #putBack: () => Promise<void> = () => Promise.resolve();

  constructor(seed: number, state: "redis" | "memory") {
    this.#random = seededRandom(seed);
    const cacheBytesMax = seed % 2 === 0 ? 0 : 64_000_000;
    this.fleet = new StateFleet([stateFlow(state)], { cacheBytesMax });
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random.next() * from.length)];
  }

  async run(): Promise<void> {
    await this.#join();
    for (let i = 0; i < STEPS; i++) {
      await this.fleet.sendLoads(someLoads(this.#random, Math.floor(this.#random.next() * 20)));
      const [name, step] = this.#pick(Object.entries(this.#steps)) ?? ["", this.#wait];
      this.told.push(name);
      await step();
      await this.#wait();
    }
    await this.#calm();
  }

  readonly #wait = (): Promise<void> =>
    this.fleet.clock.advance(Math.floor(this.#random.next() ** 3 * 12_000));

  readonly #join = async (): Promise<void> => {
    if (this.#members.length + this.#frozen.length < WORKERS_MAX)
      this.#members.push(await this.fleet.join());
  };

  /** One that runs and is not the last. */
  #take(): FleetMember | null {
    const member = this.#members.length < 2 ? undefined : this.#pick(this.#members);
    if (member === undefined) return null;
    this.#members = this.#members.filter((one) => one !== member);
    return member;
  }

  readonly #steps: Record<string, () => Promise<void>> = {
    join: this.#join,
    leave: async () => {
      const member = this.#take();
      if (member !== null) await this.fleet.during(member.worker.stop());
    },
    crash: async () => {
      const member = this.#take();
      if (member !== null) this.fleet.kafka.crash(member.port);
    },
    "crash the last": async () => {
      for (const { port } of this.#members.splice(0)) this.fleet.kafka.crash(port);
      await this.#join();
      if (this.#members.length === 0) await this.#thaw();
    },
    freeze: async () => {
      const member = this.#take();
      if (member === null) return;
      this.fleet.kafka.freeze(member.port);
      this.#frozen.push(member);
    },
    thaw: () => this.#thaw(),
    rebalance: async () => this.fleet.kafka.rebalance("flow.main"),
    wipe: () => this.fleet.troubled.wipe(),
    "back up": async () => {
      this.#putBack = await this.fleet.troubled.snapshot();
    },
    "put back": () => this.#putBack(),
    away: async () => {
      this.fleet.troubled.setAvailable(false);
      await this.#wait();
      this.fleet.troubled.setAvailable(true);
    },
    "kafka away": async () => {
      this.fleet.kafka.setAvailable(false);
      await this.#wait();
      this.fleet.kafka.setAvailable(true);
    },
    "lose a call": async () => {
      const call = this.#pick(["read", "apply", "apply", "position", "finish"] as const);
      this.fleet.troubled.failNext(call ?? "apply", { after: this.#random.next() < 0.5 });
    },
    "lose a request": async () => {
      const request = this.#pick(["send", "sendOffsets", "commit", "commit"] as const);
      this.fleet.kafka.failNext(request ?? "commit", { after: this.#random.next() < 0.5 });
    },
    "late markers": async () => {
      const isHeld = this.#random.next() < 0.5;
      this.fleet.kafka.delayMarkers(({ topic }) => isHeld === topic.endsWith("-changelog"));
      await this.#wait();
      this.fleet.kafka.releaseMarkers();
    },
    "late writes": async () => {
      const gate = Promise.withResolvers<void>();
      this.fleet.troubled.onCall = (call) => (call === "apply" ? gate.promise : undefined);
      await this.#wait();
      this.fleet.troubled.onCall = () => undefined;
      if (this.#random.next() < 0.5) await this.#wait();
      gate.resolve();
    },
  };

  async #thaw(): Promise<void> {
    for (const member of this.#frozen.splice(0)) {
      this.fleet.kafka.thaw(member.port);
      this.#members.push(member);
    }
  }

  async #calm(): Promise<void> {
    await this.#thaw();
    await this.fleet.clock.advance(15_000);
    await this.fleet.sendLoads(someLoads(this.#random, 20));
  }
}

for (const state of ["redis", "memory"] as const)
  test(`whatever befalls workers, Kafka and copies in ${state}, everything comes out once, in order, and right`, async (t) => {
    t.diagnostic(`seeds 1 to ${String(SEEDS)}`);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const chaos = new Chaos(seed, state);
      await chaos.run().catch((error: unknown) => {
        throw new Error(`seed ${String(seed)}: ${chaos.told.join(", ")}`, { cause: error });
      });
      await chaos.fleet.assertExact(`seed ${String(seed)}: ${chaos.told.join(", ")}`);
    }
  });

test("the same seed gives the same run", async () => {
  const runs = [new Chaos(3, "redis"), new Chaos(3, "redis")];
  for (const run of runs) await run.run();
  const [one, two] = runs.map(({ fleet, told }) => ({
    told,
    records: fleet.kafka.records("totals", { committed: false }),
  }));
  assert.deepEqual(one, two);
});
