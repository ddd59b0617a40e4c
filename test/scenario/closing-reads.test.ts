// Closing reads what is due, in the order of the index, and nothing else: not the keys whose windows stay open, and no store as a
// whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hours, json, pipeline, string, topic, tumbling } from "#engine";
import type { StateCopies, StateCopy } from "../../src/engine/core/state.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { Fleet } from "../support/fleet.ts";

const HOUR_MS = 3_600_000;
const OPEN_KEYS = 2_000;
const own = { key: string, partitions: 1, owner: "tests" };
const views = topic("views", { ...own, value: json<{ at: number }>(), timestamp: ({ at }) => at });
const rows = topic("rows", { ...own, value: json<number>() });
const flow = pipeline("counting", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(tumbling({ size: hours(1), grace: hours(2) }))
    .count("by-hours", { emit: "close" })
    .toStream("row", (n) => n)
    .to(rows);
});

/** The keys that were asked for, and the entries of indexes that were read. */
class CountedCopies {
  keys = 0;
  due = 0;
  scans = 0;
  readonly copies: StateCopies;

  constructor(inner: StateCopies) {
    this.copies = {
      copy: (id) => this.#counted(inner.copy(id)),
      problems: () => inner.problems(),
      close: () => inner.close(),
    };
  }

  #counted(copy: StateCopy): StateCopy {
    return {
      position: () => copy.position(),
      read: (keys) => {
        this.keys += keys.length;
        return copy.read(keys);
      },
      due: async (beforeMs, keysMax, behind) => {
        const found = await copy.due(beforeMs, keysMax, behind);
        this.due += found.keys.length;
        return found;
      },
      lastDue: () => copy.lastDue(),
      apply: (piece) => copy.apply(piece),
      rebuild: () => copy.rebuild(),
      scan: (cursor, entriesMax) => {
        this.scans++;
        return copy.scan(cursor, entriesMax);
      },
      remove: () => copy.remove(),
    };
  }
}

test("closing costs by the windows that close: of 2,000 open ones none is read, and nothing is scanned", async () => {
  const fleet = new Fleet([flow]);
  const counted = new CountedCopies(memoryCopies());
  fleet.copies = counted.copies;
  const startMs = Math.floor(fleet.clock.now() / HOUR_MS) * HOUR_MS - 48 * HOUR_MS;
  const view = (key: string, hour: number) => ({
    ...{ topic: views.name, partition: 0, key: Buffer.from(key), headers: [] },
    value: Buffer.from(JSON.stringify({ at: startMs + hour * HOUR_MS })),
    timestamp: fleet.clock.now(),
  });
  const first = await fleet.join();
  await fleet.sendRecords(["a", "b"].map((key) => view(key, 0)));
  await fleet.sendRecords(Array.from({ length: OPEN_KEYS }, (_, i) => view(`k${String(i)}`, 1)));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  assert.deepEqual(fleet.values(rows), []);
  // A new worker has nothing in memory.
  await fleet.join();
  await fleet.drained();
  const [keys, due] = [counted.keys, counted.due];
  await fleet.sendRecords([view("x", 3)]);
  await fleet.drained();
  assert.deepEqual(fleet.values(rows), [1, 1]);
  assert.equal(counted.scans, 0);
  assert.ok(counted.keys - keys < 10, `${String(counted.keys - keys)} keys were read`);
  // The first that is not due may be looked at.
  assert.ok(counted.due - due < 10, `${String(counted.due - due)} entries of the index were read`);
});
