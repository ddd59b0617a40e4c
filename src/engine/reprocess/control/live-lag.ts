// The lag of the live pipeline by its own clock: the time since the log first reached beyond what is committed.
// Timestamps of records are not used, since live may read old events too. For the controller of a run, each second.
import type { AdminPort } from "../../core/kafka.ts";
import type { Part, Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { addressOf, type GroupId } from "../../core/record.ts";

interface LagSample {
  readonly atMs: number;
  readonly high: bigint;
}

export class LagWatch {
  readonly #plan: Plan;
  readonly #admin: AdminPort;
  readonly #clock: Pick<Clock, "monotonic">;
  /** By group and address: when each end was first seen, oldest first; only those beyond what is committed. */
  readonly #seen = new Map<GroupId, ReadonlyMap<string, readonly LagSample[]>>();

  constructor(plan: Plan, admin: AdminPort, clock: Pick<Clock, "monotonic">) {
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

  async #lagOf({ group, sources }: Part): Promise<number | null> {
    const { members } = await this.#admin.describeGroup(group);
    if (members.length === 0) {
      this.#seen.delete(group);
      return null;
    }
    const names = sources.map(({ name }) => name);
    const marks = [...(await watermarksOf(this.#admin, names)).values()];
    const committed = await this.#admin.committed(group, marks, { stable: false });
    const offsets = new Map(committed.map((at) => [addressOf(at), at.nextOffset]));
    const before = this.#seen.get(group);
    const atMs = this.#clock.monotonic();
    const samples = marks.map((mark) => {
      const address = addressOf(mark);
      const offset = offsets.get(address) ?? mark.low;
      const known = (before?.get(address) ?? []).filter(({ high }) => high > offset);
      const isNew = mark.high > offset && mark.high > (known.at(-1)?.high ?? -1n);
      return [address, isNew ? [...known, { atMs, high: mark.high }] : known] as const;
    });
    this.#seen.set(group, new Map(samples));
    return Math.max(0, ...samples.flatMap(([, [oldest]]) => (oldest ? atMs - oldest.atMs : [])));
  }
}
