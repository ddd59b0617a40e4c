// Lets faults strike: counts the calls that each waits for, does to the world what it is called, and takes it back when
// its time is over. `calm` ends everything that is still going on.
import type { Fault, FaultKind } from "./plan-of-faults.ts";
import type { Night } from "./case.ts";
import type { Call, CallVerdict, Strike } from "./servers/points.ts";
import { SESSION_MS, type Member, type World } from "./world.ts";

interface Pending {
  readonly fault: Fault;
  left: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOTHING: CallVerdict = {};

type Blow = (fault: Fault, call: Call) => CallVerdict | Promise<CallVerdict> | null;

export class Faults {
  readonly #world: World;
  /** How often each kind struck. */
  readonly struck = new Map<FaultKind, number>();
  #pending: Pending[] = [];
  #stage = -1;
  #isCalm = false;
  /** What is to be taken back, each once. */
  readonly #ends = new Set<() => void>();

  constructor(world: World) {
    this.#world = world;
    // By a name: V8 puts a function that is written right into a property into old space, where it would keep its whole
    // world until a full collection.
    const strike: Strike = (call) => this.#strike(call);
    world.strike = strike;
  }

  begin(stage: number): void {
    this.#stage = stage;
    for (const fault of this.#world.case.faults)
      if (fault.stage === stage) this.#pending.push({ fault, left: fault.nth });
  }

  /** All that lasts is over, and nothing new comes. */
  calm(): void {
    this.#isCalm = true;
    this.#pending = [];
    for (const end of [...this.#ends]) end();
    if (this.#world.living.length === 0) this.#world.join();
  }

  #strike(call: Call): Promise<CallVerdict> | CallVerdict {
    if (this.#pending.length === 0 || this.#stage < 0) return NOTHING;
    const now = this.#pending.filter(
      ({ fault }) => isMeant(fault, call) && this.#isOf(fault, call),
    );
    let verdict: CallVerdict | Promise<CallVerdict> = NOTHING;
    for (const pending of now) {
      if (--pending.left > 0) continue;
      this.#pending = this.#pending.filter((one) => one !== pending);
      const dealt = this.#blows[pending.fault.kind](pending.fault, call);
      if (dealt === null) continue;
      const { kind } = pending.fault;
      this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
      // What strikes the world leaves the call to what strikes the call.
      if (dealt !== NOTHING) verdict = dealt;
    }
    return verdict;
  }

  #isOf({ who }: Fault, { worker }: Call): boolean {
    if (who === undefined) return true;
    const { members, case: of } = this.#world;
    return members.length > of.sizes.workers && members.at(-1)?.life === worker;
  }

  /** Something that lasts: `begin` now, `end` after a while or when all is calm. */
  #lasting(ms: number, end: () => void): CallVerdict {
    const once = (): void => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    void this.#world.clock.sleep(ms).then(once);
    return NOTHING;
  }

  #member({ worker }: Call, arg: number): Member | null {
    const { living } = this.#world;
    const own = living.find(({ life }) => life === worker);
    return own ?? living[arg % Math.max(1, living.length)] ?? null;
  }

  /** Another worker comes in its place, sooner or later. */
  #replaceLater(ms: number): void {
    this.#lasting(ms, () => void this.#world.join());
  }

  #crash(member: Member, { ms }: Fault): void {
    this.#world.kafka.crash(member.port);
    this.#replaceLater(ms);
  }

  #away(ms: number, set: (isAvailable: boolean) => void): CallVerdict {
    set(false);
    return this.#lasting(ms, () => set(true));
  }

  #groups(): string[] {
    return this.#world.plan.parts.map(({ group }) => group);
  }

  readonly #blows: Record<FaultKind, Blow> = {
    crash: (fault, call) => {
      const member = this.#member(call, fault.arg);
      if (member === null) return null;
      this.#crash(member, fault);
      return NOTHING;
    },
    "crash after": (fault, call) => {
      const member = this.#member(call, fault.arg);
      if (member === null || call.server === "clock") return null;
      return { taken: () => this.#crash(member, fault) };
    },
    freeze: (fault, call) => {
      const member = this.#member(call, fault.arg);
      if (member?.life.state !== "running") return null;
      this.#world.kafka.freeze(member.port);
      // Shorter than a session, or longer: then another has its partitions when it goes on.
      const ms = fault.arg % 3 === 0 ? fault.ms : fault.ms + SESSION_MS;
      return this.#lasting(ms, () => {
        if (member.life.state === "frozen") this.#world.kafka.thaw(member.port);
      });
    },
    leave: (fault, call) => {
      const member = this.#member(call, fault.arg);
      if (member?.life.state !== "running") return null;
      this.#world.leave(member);
      this.#replaceLater(fault.ms);
      return NOTHING;
    },
    join: () => (this.#world.join() ? NOTHING : null),
    rebalance: ({ arg }) => {
      const groups = this.#groups();
      this.#world.kafka.rebalance(groups[arg % groups.length] as string);
      return NOTHING;
    },
    "lose request": () => ({ lose: "request" }),
    "lose reply": () => ({ lose: "reply" }),
    "late effect": ({ ms }) => ({ lose: "late", lateMs: ms }),
    "slow call": async ({ ms }) => {
      await this.#world.clock.sleep(ms);
      return NOTHING;
    },
    "kafka away": ({ ms }) => this.#away(ms, (is) => this.#world.kafka.setAvailable(is)),
    "redis away": ({ ms }) => this.#away(ms, (is) => (this.#world.redis.isAvailable = is)),
    "postgres away": ({ ms }) => this.#away(ms, (is) => (this.#world.postgres.isAvailable = is)),
    "registry away": ({ ms }) => this.#away(ms, (is) => this.#world.registry.setAvailable(is)),
    "late markers": ({ ms, arg }) => {
      const isHeld = [
        (topic: string) => topic.endsWith("-changelog"),
        (topic: string) => !topic.endsWith("-changelog"),
        (topic: string, partition: number) => (topic.length + partition + arg) % 2 === 0,
        (topic: string) => topic === "__consumer_offsets",
        () => true,
      ][arg % 5] as (topic: string, partition: number) => boolean;
      this.#world.kafka.delayMarkers(({ topic, partition }) => isHeld(topic, partition));
      return this.#lasting(ms, () => this.#world.kafka.releaseMarkers());
    },
    "batch again": ({ arg }) => {
      this.#world.kafka.misplaceNextBatch(-BigInt(1 + (arg % 4)));
      return NOTHING;
    },
    "batch missing": ({ arg }) => {
      this.#world.kafka.misplaceNextBatch(BigInt(1 + (arg % 3)));
      return NOTHING;
    },
    compaction: ({ arg }) => {
      this.compact(arg % 4);
      return NOTHING;
    },
    wipe: ({ arg }) => this.#redis(() => this.#world.redis.wipe(oneOrAll(arg))),
    "older snapshot": ({ arg }) => this.#redis(() => this.#world.redis.putBack(oneOrAll(arg), 99)),
    "tail lost": ({ arg }) =>
      this.#redis(() => this.#world.redis.putBack(oneOrAll(arg), 1 + (arg % 2))),
    "looks old": ({ arg }) =>
      this.#redis(() => this.#world.redis.makeOld((3 + (arg % 3)) * DAY_MS)),
    "postgres failover": ({ arg }) =>
      this.#world.postgres.failOver(1 + (arg % 4)) ? NOTHING : null,
    deadlock: () => ({ lose: "deadlock" }),
    "clock forward": (fault, call) => this.#skew(fault, call, 1),
    "clock back": (fault, call) => this.#skew(fault, call, -1),
  };

  /** A worker's wall clock is set; or, of forward ones, everybody's. */
  #skew(fault: Fault, call: Call, sign: number): CallVerdict | null {
    const member = this.#member(call, fault.arg);
    if (member === null) return null;
    const ms = sign * ((fault.arg % 40) + 1) * HOUR_MS;
    if (sign > 0 && fault.arg % 2 === 0) this.#world.clock.jump(fault.ms * 60);
    else member.skewMs += ms;
    return this.#lasting(fault.ms, () => (member.skewMs = 0));
  }

  #redis(work: () => Promise<boolean>): Promise<CallVerdict> {
    return work().then(() => NOTHING);
  }

  /** The log cleaner passes over every compacted topic, but for the last `spared` offsets. */
  compact(spared: number): void {
    const { kafka, plan } = this.#world;
    const changelogs = plan.parts.flatMap(({ stores, partitions }) =>
      stores.map(({ changelog }) => ({ topic: changelog.name, partitions })),
    );
    for (const { topic, partitions } of [...changelogs, { topic: plan.meta, partitions: 1 }])
      for (let partition = 0; partition < partitions; partition++) {
        const at = { topic, partition };
        const { stable } = kafka.offsets(at);
        kafka.compact(at, stable - BigInt(spared));
      }
  }

  /**
   * Days pass. A copy that is being brought up just then would be in the middle of a roll-forward for days, which nobody
   * promises to survive: workers that are, or stand still, die in the night.
   */
  async night({ days, isRestored }: Night): Promise<void> {
    const world = this.#world;
    for (const { life, worker, port } of world.living) {
      const isAwake = life.state === "running";
      const isQuiet = worker.health().every(({ state }) => state === "running");
      if (!isAwake || !isQuiet || worker.waitingFor !== null) world.kafka.crash(port);
    }
    world.clock.jump(days * DAY_MS);
    this.compact(0);
    if (isRestored) await world.redis.putBack(null, 99);
    if (world.living.length === 0 && !this.#isCalm) world.join();
  }
}

const oneOrAll = (arg: number): number | null => (arg % 2 === 0 ? null : arg);

function isMeant({ on }: Fault, { server, call }: Call): boolean {
  if (on === "") return true;
  const [of, only] = on.split("/");
  return of === server && (only === undefined || only === call);
}
