// Knows when it has sent each record to partition 0 of a topic, with event times that are a year old, and so how far behind a
// part truly is; and reads what workers say of it.
import type { Fleet, FleetMember } from "./fleet.ts";

const YEAR_MS = 365 * 86_400_000;

export class LagProbe {
  readonly #fleet: Fleet;
  readonly #topic: string;
  readonly #sentMs: number[] = [];
  #committed = 0n;
  /** The age of the timestamps of its records. */
  ageMs: number = YEAR_MS;

  constructor(fleet: Fleet, topic: string) {
    this.#fleet = fleet;
    this.#topic = topic;
  }

  async send(count = 1): Promise<void> {
    const { clock } = this.#fleet;
    const records = Array.from({ length: count }, (_, i) => ({
      topic: this.#topic,
      partition: 0,
      key: Buffer.from("k"),
      value: Buffer.from(JSON.stringify({ id: "k", n: this.#sentMs.length + i })),
      headers: [],
      timestamp: clock.now() - this.ageMs,
    }));
    this.#sentMs.push(...records.map(() => clock.now()));
    await this.#fleet.sendRecords(records);
  }

  /** Seconds since the oldest record was appended that the part has not committed. */
  async truth(part: string): Promise<number> {
    // While the database is away, nothing moves.
    const progress = await this.#fleet.progress().catch(() => null);
    const own = progress?.find(
      (at) => at.part === part && at.topic === this.#topic && at.partition === 0,
    );
    this.#committed = own?.nextOffset ?? this.#committed;
    const sentMs = this.#sentMs[Number(this.#committed)];
    return sentMs === undefined ? 0 : (this.#fleet.clock.now() - sentMs) / 1000;
  }

  /** The gauge, as a scrape at this moment has it; null: there is none. */
  said(
    { worker }: FleetMember,
    part: string,
    topic: string = this.#topic,
    name = "millrace_lag_seconds",
  ): number | null {
    worker.publishLag();
    const labels = { part, topic, partition: "0" };
    return this.#fleet.meter.gauges(name, labels)[0] ?? null;
  }
}
