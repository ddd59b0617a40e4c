// Small declared topics and plans for unit tests of the engine.
import { json, string, topic, type Topic } from "#engine";
import type { RawRecord } from "../../src/engine/core/record.ts";

export interface Thing {
  readonly id: string;
  readonly n: number;
}

export const things = (name: string, partitions = 2): Topic<string, Thing> =>
  topic(name, { key: string, value: json<Thing>(), partitions, owner: "tests" });

/** A raw record of a JSON topic. */
export const raw = (value: unknown, at: Partial<RawRecord> = {}): RawRecord => ({
  topic: "in",
  partition: 0,
  offset: 0n,
  timestamp: 1_000,
  key: Buffer.from("k"),
  value: value === undefined ? null : Buffer.from(JSON.stringify(value)),
  headers: [],
  ...at,
});
