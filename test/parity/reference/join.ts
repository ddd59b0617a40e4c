// Stream joins: pairs of one key with before and after, and what found no partner.
import type { Case, Fed, Join } from "../cases.ts";
import { type Answer, type Exchanged, pairRow, type Reference } from "./rows.ts";

interface Kept extends Fed {
  hasPartner: boolean;
  /** The row without a partner is out. */
  isOut: boolean;
}
type Side = Fed["topic"];

export const joinRows: Reference = (one, exchanged) => new Joining(one, exchanged).answer();

class Joining {
  readonly #one: Case;
  readonly #join: Join;
  readonly #exchanged: Exchanged;
  readonly #rows: string[] = [];
  readonly #kept: Record<Side, Kept[]> = { left: [], right: [] };
  readonly #times: Record<Side, number> = { left: -Infinity, right: -Infinity };
  #late = 0;
  #earliest = Infinity;

  constructor(one: Case, exchanged: Exchanged) {
    this.#one = one;
    this.#join = one.operator as Join;
    this.#exchanged = exchanged;
  }

  answer(): Answer {
    const theirs = this.#exchanged.has("join unmatched");
    for (const record of this.#one.records) {
      const { topic, t } = record;
      this.#times[topic] = Math.max(this.#times[topic], t);
      if (this.#isLate(record)) {
        this.#late++;
        continue;
      }
      if (theirs && t === this.#largest) this.#unmatchedByTheirs(topic);
      const kept: Kept = { ...record, hasPartner: false, isOut: false };
      this.#pairs(kept);
      this.#kept[topic].push(kept);
      if (theirs) this.#atOnce(kept);
    }
    if (!theirs) this.#unmatched();
    return { rows: this.#rows, late: this.#late };
  }

  get #largest(): number {
    return Math.max(this.#times.left, this.#times.right);
  }

  #isLate({ topic, t }: Fed): boolean {
    return !this.#exchanged.has("join late") && t < this.#times[topic] - this.#one.ourGrace;
  }

  #span(side: Side): number {
    return side === "left" ? this.#join.after : this.#join.before;
  }

  #isOuter(side: Side): boolean {
    return this.#join.type === "outer" || (this.#join.type === "left" && side === "left");
  }

  #pairs(record: Kept): void {
    const { before, after } = this.#join;
    const other = record.topic === "left" ? "right" : "left";
    // Their store: of this side's own time, whatever the grace of ours.
    const from = this.#times[other] - (before + after + this.#one.grace) + 1;
    for (const partner of this.#kept[other]) {
      if (partner.key !== record.key) continue;
      if (this.#exchanged.has("join kept") && partner.t < from) continue;
      const [left, right] = other === "right" ? [record, partner] : [partner, record];
      if (right.t < left.t - before || right.t > left.t + after) continue;
      record.hasPartner = true;
      this.#found(partner);
      const value = `${left.value}&${right.value}`;
      this.#rows.push(pairRow(left.key, Math.max(left.t, right.t), value));
    }
  }

  /** Theirs forget all of one key and time at once. */
  #found(partner: Kept): void {
    const { topic, key, t } = partner;
    const same = this.#exchanged.has("join unmatched")
      ? this.#kept[topic].filter((one) => one.key === key && one.t === t)
      : [partner];
    for (const one of same) one.hasPartner = true;
  }

  #out(record: Kept): void {
    record.isOut = true;
    const value = record.topic === "left" ? `${record.value}&-` : `-&${record.value}`;
    this.#rows.push(pairRow(record.key, record.t, value));
  }

  #waiting(side: Side): Kept[] {
    if (!this.#isOuter(side)) return [];
    return this.#kept[side].filter((one) => !one.hasPartner && !one.isOut);
  }

  /** Ours: when the smaller of both times has passed. No partner comes later, so the end is early enough. */
  #unmatched(): void {
    const time = Math.min(this.#times.left, this.#times.right);
    for (const side of ["left", "right"] as const)
      for (const one of this.#waiting(side))
        if (time > one.t + this.#span(side) + this.#one.ourGrace) this.#out(one);
  }

  /**
   * Theirs: at a record that moves the larger time, by the earliest time that their last look at the store has left, which may
   * be that of an entry behind others that wait.
   */
  #unmatchedByTheirs(side: Side): void {
    const { grace } = this.#one;
    if (this.#earliest + this.#span(side) + grace >= this.#largest) return;
    this.#earliest = Infinity;
    const waiting = [...this.#waiting("left"), ...this.#waiting("right")];
    const open = new Set<Side>();
    for (const one of waiting.sort((a, b) => a.t - b.t)) {
      this.#earliest = one.t;
      if (open.size === 2) return;
      if (one.t + this.#span(one.topic) + grace >= this.#largest) open.add(one.topic);
      else this.#out(one);
    }
  }

  #atOnce(record: Kept): void {
    if (!this.#isOuter(record.topic) || record.hasPartner) return;
    if (record.t + this.#span(record.topic) < this.#largest) this.#out(record);
    else this.#earliest = Math.min(this.#earliest, record.t);
  }
}
