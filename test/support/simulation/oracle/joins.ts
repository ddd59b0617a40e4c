// Joins as the oracle has them: sets of records that are on time, without any order or time of arrival.
import type { FlowSpec, Node, SourceRecord } from "../case.ts";
import { outputName } from "../flow.ts";
import { isLeft, isRight, joinIn, kindIn, paired, spanIn } from "../joins.ts";
import type { Value } from "../values.ts";
import { lastWatermarks } from "../windows.ts";
import { keyText, type Expected } from "./expected.ts";
import type { Item, Trail } from "./way.ts";

interface Guest {
  readonly key: string;
  readonly partition: number;
  readonly timeMs: number;
  readonly value: Value;
}
type Pair = readonly [key: string, left: Value | null, right: Value | null];

export class Joins {
  readonly #lefts: Guest[] = [];
  readonly #rights: Guest[] = [];
  readonly #unkeyed: Pair[] = [];

  /** How often the record is late: by neither side, one or both. */
  take(node: Node, { key, value, timeMs, originMs, partition }: Item, trail: Trail): number {
    if (value === undefined) return 0;
    const kind = kindIn(node);
    const sides = [
      { isOne: isLeft(value), guests: this.#lefts, isOuter: kind !== "join" },
      { isOne: isRight(value), guests: this.#rights, isOuter: kind === "outerJoin" },
    ].filter(({ isOne }) => isOne);
    if (key === null) {
      for (const { isOuter, guests } of sides)
        if (isOuter) this.#alone(value, guests === this.#lefts, partition, trail);
        else trail.isNullKey = true;
      return 0;
    }
    if (timeMs < originMs - spanIn(node).grace) {
      trail.isLate ||= sides.length > 0;
      return sides.length;
    }
    for (const { guests } of sides) {
      trail.emitted++;
      trail.writes.push(() => guests.push({ key, partition, timeMs, value }));
    }
    return 0;
  }

  #alone(value: Value, isOfLeft: boolean, partition: number, trail: Trail): void {
    const key = keyText(null, partition);
    trail.emitted++;
    trail.writes.push(() => this.#unkeyed.push(isOfLeft ? [key, value, null] : [key, null, value]));
  }

  /** By the watermarks when everything was read; behind a shared key that is the slowest partition's. */
  close(flow: FlowSpec, records: readonly SourceRecord[], topics: Expected["topics"]): void {
    const join = joinIn(flow);
    if (join === null) return;
    const { node, isGrouped } = join;
    const last = lastWatermarks({ flow, stages: [{ records, waitMs: 0 }] }, isGrouped);
    const items = topics.get(outputName(node.then[0] as Node))?.items;
    const all = [...this.#unkeyed, ...this.#pairs(node, last)];
    // They come in any order.
    for (const [i, [key, left, right]] of all.entries()) {
      const row = { value: paired(left, right), origin: `pair ${String(i)}` };
      items?.set(key, [...(items.get(key) ?? []), row]);
    }
  }

  #pairs(node: Node, watermarks: readonly number[]): Pair[] {
    const { before, after, grace } = spanIn(node);
    const pairs: Pair[] = [];
    const matched = new Set<Guest>();
    for (const left of this.#lefts)
      for (const right of this.#rights) {
        const ahead = right.timeMs - left.timeMs;
        if (left.key !== right.key || ahead < -before || ahead > after) continue;
        matched.add(left).add(right);
        pairs.push([left.key, left.value, right.value]);
      }
    const alone = (guests: readonly Guest[], span: number): readonly Guest[] =>
      guests.filter(
        (guest) =>
          !matched.has(guest) &&
          guest.timeMs + span + grace < (watermarks[guest.partition] ?? -Infinity),
      );
    const kind = kindIn(node);
    const lefts = kind === "join" ? [] : alone(this.#lefts, after);
    const rights = kind === "outerJoin" ? alone(this.#rights, before) : [];
    pairs.push(...lefts.map(({ key, value }): Pair => [key, value, null]));
    pairs.push(...rights.map(({ key, value }): Pair => [key, null, value]));
    return pairs;
  }
}
