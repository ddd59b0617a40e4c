// One partition of a source a day behind the other, as in a backfill: what stays open is the windows between the two, however many
// records they have; bounds hold, and all of it goes when the slow one comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hours,
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type WindowOptions,
} from "#engine";
import { Fleet } from "../support/fleet.ts";

interface View {
  readonly at: number;
  readonly shop: string;
}
const HOUR_MS = 3_600_000;
const HOURS = 24;
const SHOPS = ["a", "b", "c"] as const;
const own = { key: string, owner: "tests" };
const views = topic("views", {
  ...{ ...own, value: json<View>(), partitions: 2 },
  timestamp: ({ at }) => at,
});
const rows = topic("rows", { ...own, value: json<number>(), partitions: 1 });

const counting = (options: WindowOptions = {}) =>
  pipeline("counting", ({ from }) => {
    from(views)
      .groupBy("by-shop", ({ shop }) => shop, { partitions: 1 })
      .windowedBy(tumbling({ size: hours(1), grace: seconds(0) }))
      .count("by-hours", { emit: "close", ...options })
      .toStream("row", (n) => n)
      .to(rows);
  });

class Backfill {
  readonly fleet: Fleet;
  readonly #startMs: number;

  private constructor(fleet: Fleet) {
    this.fleet = fleet;
    this.#startMs = Math.floor(fleet.clock.now() / HOUR_MS) * HOUR_MS - 2 * HOURS * HOUR_MS;
  }

  static async begin(options?: WindowOptions): Promise<Backfill> {
    const fleet = new Fleet([counting(options)]);
    await fleet.join();
    return new Backfill(fleet);
  }

  /** So many records an hour of every shop, from one hour on to another. */
  send(partition: number, [from, to]: readonly [number, number], many = 1): Promise<void> {
    const records = Array.from({ length: to - from }, (_, i) => from + i).flatMap((hour) =>
      SHOPS.flatMap((shop) =>
        Array.from({ length: many }, () => ({
          ...{ topic: views.name, partition, key: Buffer.from(shop), headers: [] },
          value: Buffer.from(JSON.stringify({ at: this.#startMs + hour * HOUR_MS, shop })),
          timestamp: this.fleet.clock.now(),
        })),
      ),
    );
    return this.fleet.sendRecords(records);
  }

  /** Entries of the store of windows, and their bytes, without that of its closed end. */
  async open(): Promise<{ readonly windows: number; readonly bytes: number }> {
    await this.fleet.drained();
    await this.fleet.clock.advance(5_000);
    const prefix = this.fleet.plans[0]?.storePrefix ?? "";
    const copy = this.fleet.copies.copy({ prefix, store: "by-hours", partition: 0 });
    const entries = new Map<string, number>();
    for (let cursor: string | null = null; ;) {
      const found = await copy.scan(cursor, 1_000);
      for (const { key, value, dueMs } of found.entries)
        if (dueMs !== null) entries.set(key.toString("latin1"), key.length + value.length);
      cursor = found.cursor;
      if (cursor === null) break;
    }
    const bytes = [...entries.values()].reduce((sum, size) => sum + size, 0);
    return { windows: entries.size, bytes };
  }
}

test("a partition that is a day behind keeps open a window for each hour and key, however many records they have", async () => {
  const sizes: number[] = [];
  for (const many of [1, 20]) {
    const backfill = await Backfill.begin();
    await backfill.send(1, [0, 1]);
    await backfill.send(0, [0, HOURS], many);
    const { windows, bytes } = await backfill.open();
    assert.equal(windows, HOURS * SHOPS.length);
    assert.deepEqual(backfill.fleet.values(rows), []);
    sizes.push(bytes);
    await backfill.send(1, [HOURS, HOURS + 1]);
    await backfill.send(0, [HOURS, HOURS + 1]);
    assert.equal((await backfill.open()).windows, SHOPS.length, "the hour that goes on");
    const counts = backfill.fleet.values(rows);
    assert.equal(counts.length, HOURS * SHOPS.length);
    assert.equal(
      counts.reduce((sum, n) => sum + n, 0),
      HOURS * SHOPS.length * many + SHOPS.length,
    );
  }
  // Numbers of two digits in place of one.
  assert.ok((sizes[1] ?? 0) - (sizes[0] ?? 0) <= HOURS * SHOPS.length, sizes.join());
});

test("windowsMax bounds what a partition that is a day behind keeps open: the oldest windows go", async () => {
  const backfill = await Backfill.begin({ windowsMax: 6, whenFull: "evict" });
  await backfill.send(1, [0, 1]);
  await backfill.send(0, [0, HOURS]);
  assert.equal((await backfill.open()).windows, 6 * SHOPS.length);
  assert.equal(backfill.fleet.values(rows).length, (HOURS - 6) * SHOPS.length);
});
