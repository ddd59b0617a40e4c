// What an operator makes, in its topic, and in the windows behind it.
import type { FlowSpec, Node } from "../../case.ts";
import { TAIL } from "../../operators/case.ts";
import { sequenceText } from "../../operators/sequence.ts";
import { tailIn, type Tail } from "../../operators/windows/tail.ts";
import { outputName } from "../../flow.ts";
import { mod, numberOf, windowed, type Value } from "../../values.ts";
import type { Expected } from "../expected.ts";

export interface Result {
  readonly key: string;
  /** Of the source, where the key is of one partition. */
  readonly partition: number;
  /** Undefined: the key is deleted. */
  readonly value: Value | undefined;
  readonly timeMs: number;
  readonly originMs: number;
  /** Of a record, where the order of several tasks' records is free. */
  readonly origin?: string;
}

interface TailWindow {
  readonly key: string;
  readonly partition: number;
  readonly start: number;
  sum: number;
}

export class Results {
  readonly #node: Node;
  readonly #flow: FlowSpec;
  readonly #expected: Expected;
  readonly #all: Result[] = [];

  constructor(flow: FlowSpec, node: Node, expected: Expected) {
    [this.#flow, this.#node, this.#expected] = [flow, node, expected];
  }

  /** `isInOrder`: behind all others of its task. */
  add(result: Result, isInOrder: boolean): void {
    this.#all.push(result);
    for (const next of this.#node.then)
      if (next.op === "to") {
        this.#write(next, result);
        if (isInOrder) this.#follow(next, result);
      }
  }

  #write(
    node: Node,
    { key, value, origin = "operator" }: Pick<Result, "key" | "value" | "origin">,
  ): void {
    const items = this.#expected.topics.get(outputName(node))?.items;
    items?.set(key, [...(items.get(key) ?? []), { value: value ?? null, origin }]);
  }

  #follow(node: Node, { key, partition, value }: Result): void {
    const { sequences } = this.#expected;
    const tasks = sequences.get(outputName(node)) ?? new Map<number, string[]>();
    sequences.set(outputName(node), tasks);
    const json = value === undefined ? null : JSON.stringify(value);
    tasks.set(partition, [...(tasks.get(partition) ?? []), sequenceText(key, json)]);
  }

  /** By the watermarks behind the operator when everything was read. */
  close(watermarks: readonly number[]): void {
    const tail = this.#node.then.find(({ op }) => op === TAIL);
    const [end] = tail?.then ?? [];
    if (tail === undefined || end === undefined) return;
    const { sizeMs, graceMs } = tailIn(this.#flow, tail);
    for (const { key, partition, start, sum } of this.#windows({ sizeMs, graceMs }).sort(byStart))
      if (start + sizeMs + graceMs <= (watermarks[partition] ?? -Infinity))
        this.#write(end, { key, value: windowed(sum, start) });
  }

  #windows({ sizeMs, graceMs }: Tail): TailWindow[] {
    const windows = new Map<string, TailWindow>();
    for (const { key, partition, value, timeMs, originMs } of this.#all) {
      const start = timeMs - mod(timeMs, sizeMs);
      if (value === undefined || originMs >= start + sizeMs + graceMs) continue;
      const name = `${key} ${String(start)}`;
      const window = windows.get(name) ?? { key, partition, start, sum: 0 };
      window.sum += numberOf(value);
      windows.set(name, window);
    }
    return [...windows.values()];
  }
}

const byStart = (a: TailWindow, b: TailWindow): number => a.start - b.start;
