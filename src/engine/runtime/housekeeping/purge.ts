// The purge of internal topics, on an interval of its own (KIP-811). A repartition topic is purged behind decided progress. The
// topic of a table is purged only behind progress that Postgres has had for a while: an asynchronous failover may take the
// table back, and the rows since then must still be there to be written again.
import type { StartOffset } from "../../core/kafka.ts";
import type { PlanTopic } from "../../core/plan.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { addressOf } from "../../core/record.ts";
import type { WorkerContext } from "../context.ts";
import type { AnyPart } from "../task/part.ts";

/** Progress of one partition as it was seen, oldest first. */
interface Seen {
  readonly atMs: number;
  readonly nextOffset: bigint;
}

export class Purge {
  readonly #context: WorkerContext;
  readonly #parts: () => readonly AnyPart[];
  /** By address, of tables' topics. */
  #seen: ReadonlyMap<string, readonly Seen[]> = new Map();

  constructor(context: WorkerContext, parts: () => readonly AnyPart[]) {
    this.#context = context;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const streams = this.#parts().flatMap((part) => placesOf(part, "repartition"));
    const wanted = [...streams, ...this.#oldOfTables()];
    const { admin, meter } = this.#context;
    const marks = await watermarksOf(
      admin,
      wanted.map(({ topic }) => topic),
    );
    const lowOf = (at: StartOffset): bigint => marks.get(addressOf(at))?.low ?? at.nextOffset;
    const below = wanted.filter((at) => at.nextOffset > lowOf(at));
    if (below.length > 0) await admin.deleteRecords(below);
    for (const at of below)
      meter.count(
        "millrace_purged_offsets_total",
        { topic: at.topic },
        Number(at.nextOffset - lowOf(at)),
      );
  }

  /** A task that went elsewhere is forgotten with what was seen of it: its next owner looks on for as long again. */
  #oldOfTables(): StartOffset[] {
    const { clock, limits } = this.#context;
    const now = clock.monotonic();
    // A run's topics are read again by whoever compares it, and are dropped with it.
    const live = this.#parts().filter(({ bound }) => bound.plan.runOf === undefined);
    const places = live.flatMap((part) => placesOf(part, "sink"));
    this.#seen = new Map(
      places.map((at) => [addressOf(at), seenBy(this.#seen.get(addressOf(at)) ?? [], at, now)]),
    );
    return places.flatMap((at) => {
      const seen = this.#seen.get(addressOf(at)) ?? [];
      const old = seen.findLast(({ atMs }) => atMs <= now - limits.sinkPurgeAfterMs);
      return old === undefined ? [] : [{ ...at, nextOffset: old.nextOffset }];
    });
  }
}

/** Progress that went back was taken back: what was seen before it is no progress any more. */
function seenBy(seen: readonly Seen[], { nextOffset }: StartOffset, atMs: number): readonly Seen[] {
  const still = seen.filter((one) => one.nextOffset <= nextOffset);
  return still.at(-1)?.nextOffset === nextOffset ? still : [...still, { atMs, nextOffset }];
}

/** Decided progress of a part's tasks in its own topics of that kind. */
function placesOf({ bound: { part }, tasks }: AnyPart, kind: PlanTopic["internal"]): StartOffset[] {
  const own = new Set(
    part.sources.filter(({ internal }) => internal === kind).map(({ name }) => name),
  );
  return tasks.flatMap((task) =>
    task.positions().flatMap(({ topic, committed: nextOffset }) => {
      return own.has(topic) ? [{ topic, partition: task.partition, nextOffset }] : [];
    }),
  );
}
