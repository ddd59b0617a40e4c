// How long the live pipeline is behind, by its own clock: the time since the log first reached beyond what is committed.
// Timestamps of records are not asked, since old events may be read live too. For the controller of a run, each second.
import type { AdminPort } from "../../core/kafka.ts";
import type { Part, Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import { addressOf, type TopicName } from "../../core/record.ts";

interface LagSample {
  readonly atMs: number;
  readonly high: bigint;
}

export class LagWatch {
  readonly #plan: Plan;
  readonly #admin: AdminPort;
  readonly #clock: Pick<Clock, "now">;
  /** By address: when each end was first seen, oldest first; only those beyond what is committed. */
  readonly #seen = new Map<string, LagSample[]>();

  constructor(plan: Plan, admin: AdminPort, clock: Pick<Clock, "now">) {
    this.#plan = plan;
    this.#admin = admin;
    this.#clock = clock;
  }

  /** The greatest lag of all parts in milliseconds; null when none of them has a member. */
  async measure(): Promise<number | null> {
    const lags = await Promise.all(this.#plan.parts.map((part) => this.#lagOf(part)));
    const known = lags.filter((lag) => lag !== null);
    return known.length === 0 ? null : Math.max(...known);
  }

  async #lagOf(part: Part): Promise<number | null> {
    const { members } = await this.#admin.describeGroup(part.group);
    if (members.length === 0) {
      for (const { name } of part.sources) this.#forget(part, name);
      return null;
    }
    const marks = (
      await Promise.all(part.sources.map(({ name }) => this.#admin.watermarks(name)))
    ).flat();
    const committed = await this.#admin.committed(part.group, marks, { stable: false });
    const nowMs = this.#clock.now();
    const lags = marks.map((mark) => {
      const at = committed.find((offset) => addressOf(offset) === addressOf(mark));
      const key = `${part.group}/${addressOf(mark)}`;
      return this.#lagAt(key, { atMs: nowMs, high: mark.high }, at?.nextOffset ?? mark.low);
    });
    return Math.max(0, ...lags);
  }

  #lagAt(key: string, now: LagSample, committed: bigint): number {
    const samples = (this.#seen.get(key) ?? []).filter(({ high }) => high > committed);
    const last = samples.at(-1);
    if (now.high > committed && (last === undefined || now.high > last.high)) samples.push(now);
    this.#seen.set(key, samples);
    const [oldest] = samples;
    return oldest === undefined ? 0 : now.atMs - oldest.atMs;
  }

  #forget({ group }: Part, topic: TopicName): void {
    for (const key of this.#seen.keys())
      if (key.startsWith(`${group}/${topic}-`)) this.#seen.delete(key);
  }
}
