// A pipeline with every kind of state, loads for it, and a second, naive program that says what must come of them.
import assert from "node:assert/strict";
import { json, pipeline, seconds, string, topic, type Pipeline } from "#engine";
import { headerText, type OutRecord } from "../../src/engine/core/record.ts";
import type { Random } from "../../src/engine/core/ports.ts";
import type { WorkerLimits } from "../../src/engine/runtime/context.ts";
import { entryCodec } from "../../src/engine/state/entry-codec.ts";
import { Fleet } from "./fleet.ts";
import { plainCodec } from "./stores.ts";
import { TroubledCopies } from "./troubled-copies.ts";

export interface Load {
  readonly id: number;
  readonly n: number;
}

/** A load on its way: its key says its partition. */
export interface Sent {
  readonly key: string;
  readonly partition: number;
  readonly load: Load;
  readonly timestamp: number;
}

const PARTITIONS = 2;
const SPAN_MS = 20_000;

const keyed = <V>(name: string) =>
  topic(name, { key: string, value: json<V>(), partitions: PARTITIONS, owner: "tests" });
export const loads = keyed<Load>("loads");
const [firsts, totals, changes, counts] = [
  keyed<Load>("firsts"),
  keyed<number>("totals"),
  keyed<number>("changes"),
  keyed<number>("counts"),
];

/** A repeat is dropped; a total that thirteen divides is a dead letter, behind changes in other steps. */
export const stateFlow = (state: "redis" | "memory" = "redis"): Pipeline =>
  pipeline("flow", { state }, ({ from }) => {
    const once = from(loads).distinct("once", { by: ({ id }) => id, within: seconds(20) });
    once.to(firsts);
    once.groupByKey().count("loads-so-far", { emit: "checkpoint" }).to(counts);
    once
      .mapWithState("change", {
        state: json<number>(),
        map: (state: number | null, { n }: Load) => ({ state: n, emit: [n - (state ?? 0)] }),
      })
      .to(changes);
    once
      .groupByKey()
      .sum("total", ({ n }) => n)
      .toStream()
      .expect("no-thirteens", (total) => total % 13 !== 0, { otherwise: "dead-letter" })
      .to(totals);
  });

/** Loads that repeat at times, over `keys` keys a partition; event time goes on, with some that are late. */
export function someLoads(random: Random, count: number, keys = 4): Sent[] {
  const whole = (most: number): number => Math.floor(random.next() * most);
  return Array.from({ length: count }, (_, i) => {
    const partition = whole(PARTITIONS);
    const timestamp = Math.max(0, 1_000 * i + 1_000 - whole(4) * whole(5_000));
    const load = { id: whole(5), n: whole(12) + 1 };
    return { key: `k${String(whole(keys))}-${String(partition)}`, partition, load, timestamp };
  });
}

export const recordOf = ({ key, partition, load, timestamp }: Sent): OutRecord => ({
  topic: loads.name,
  partition,
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify(load)),
  headers: [],
  timestamp,
});

/** What must come of loads, in the order of sending. */
export interface Expected {
  readonly firsts: Record<string, Load[]>;
  readonly totals: Record<string, number[]>;
  readonly changes: Record<string, number[]>;
  readonly counts: Record<string, number>;
  /** `partition/offset`. */
  readonly letters: string[];
  readonly ledger: Record<string, number>;
}

export function expectedOf(sent: readonly Sent[]): Expected {
  const want: Expected = {
    ...{ firsts: {}, totals: {}, changes: {}, counts: {}, letters: [] },
    ledger: { consumed: 0, emitted: 0, late: 0, deduplicated: 0, "dead-lettered": 0 },
  };
  const partitions = Array.from({ length: PARTITIONS }, () => ({ timeMs: -1, nextOffset: 0 }));
  const seen = new Map<string, number>();
  for (const one of sent) {
    const at = partitions[one.partition] as (typeof partitions)[number];
    at.timeMs = Math.max(at.timeMs, one.timestamp);
    const address = `${String(one.partition)}/${String(at.nextOffset++)}`;
    const id = `${one.key}/${String(one.load.id)}`;
    const isLate = one.timestamp + SPAN_MS < at.timeMs;
    const isRepeat = at.timeMs - (seen.get(id) ?? -Infinity) <= SPAN_MS;
    const outcome = isLate ? "late" : isRepeat ? "deduplicated" : take(want, one);
    if (outcome === "emitted") seen.set(id, at.timeMs);
    if (outcome === "dead-lettered") want.letters.push(address);
    for (const kind of ["consumed", outcome]) want.ledger[kind] = (want.ledger[kind] ?? 0) + 1;
  }
  const some = Object.entries(want.ledger).filter(([, count]) => count > 0);
  return { ...want, letters: want.letters.sort(), ledger: Object.fromEntries(some) };
}

/** One load that is no repeat. */
function take(want: Expected, { key, load }: Sent): "emitted" | "dead-lettered" {
  const [totals, firsts] = [(want.totals[key] ??= []), (want.firsts[key] ??= [])];
  const total = (totals.at(-1) ?? 0) + load.n;
  if (total % 13 === 0) return "dead-lettered";
  (want.changes[key] ??= []).push(load.n - (firsts.at(-1)?.n ?? 0));
  firsts.push(load);
  totals.push(total);
  want.counts[key] = totals.length;
  return "emitted";
}

/** Workers with state, copies that things happen to, and everything that was sent to them. */
export class StateFleet extends Fleet {
  readonly troubled = new TroubledCopies();
  readonly sent: Sent[] = [];

  constructor(pipelines: readonly Pipeline[], limits: Partial<WorkerLimits> = {}) {
    super(pipelines, limits);
    this.copies = this.troubled;
  }

  async sendLoads(sent: readonly Sent[]): Promise<void> {
    this.sent.push(...sent);
    await this.sendRecords(sent.map(recordOf));
  }

  #byKey<V>(name: string): Record<string, V[]> {
    const found: Record<string, V[]> = {};
    for (const { key, value } of this.kafka.records(name, { committed: true }))
      (found[String(key)] ??= []).push(JSON.parse(String(value)) as V);
    return found;
  }

  /** Everything once, in order; the ledger balances; the copies are what their changelogs say. */
  async assertExact(context: string): Promise<void> {
    await this.drained();
    const want = expectedOf(this.sent);
    assert.deepEqual(this.#byKey(firsts.name), want.firsts, context);
    assert.deepEqual(this.#byKey(changes.name), want.changes, context);
    assert.deepEqual(this.#byKey(totals.name), want.totals, context);
    this.#assertCounts(want.counts, context);
    const letters = this.kafka
      .records("flow-dead-letters", { committed: true })
      .map(({ headers }) => ["partition", "offset"].map((of) => headerText(headers, `dlq.${of}`)))
      .map((address) => address.join("/"));
    assert.deepEqual(letters.sort(), want.letters, context);
    assert.deepEqual(await this.ledger("main"), want.ledger, context);
    await this.assertCopies(context);
  }

  /** How many tellings there are depends on the checkpoints; the last one of each key does not. */
  #assertCounts(want: Record<string, number>, context: string): void {
    const found = this.#byKey<number>(counts.name);
    const lasts = Object.entries(found).map(([key, all]) => [key, all.at(-1)]);
    assert.deepEqual(Object.fromEntries(lasts), want, context);
    for (const all of Object.values(found))
      assert.deepEqual(
        all,
        [...new Set(all)].sort((a, b) => a - b),
        context,
      );
  }

  /** Each copy has a position, and is its changelog up to there, with the time of the newest record there. */
  async assertCopies(context: string): Promise<void> {
    const codec = entryCodec(plainCodec, "any");
    for (const id of this.troubled.stores()) {
      const { position, entries } = await this.troubled.look(id);
      const where = `${context}: ${id.store} ${String(id.partition)}`;
      const end = position?.nextOffset ?? -1n;
      const below = this.kafka
        .records(`flow-${id.store}-changelog`, { committed: true })
        .filter(({ partition, offset }) => partition === id.partition && offset < end);
      const truth = new Map<string, unknown>();
      for (const { key, value } of below)
        if (value === null) truth.delete(String(key));
        else truth.set(String(key), codec.decode(key as Buffer, value));
      const copy = [...entries].map(([key, bytes]) => [
        key,
        codec.decode(Buffer.from(key, "latin1"), bytes),
      ]);
      assert.deepEqual(Object.fromEntries(copy), Object.fromEntries(truth), where);
      const newest = below.at(-1);
      if (newest !== undefined) assert.equal(position?.timeMs, newest.timestamp, where);
    }
  }
}
