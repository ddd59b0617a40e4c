// Opens the stores of a task: each copy is brought up to the end of its changelog, and says so while it takes long.
import { addressOf } from "../../../core/record.ts";
import type { PlanStore } from "../../../core/plan.ts";
import type { EntryCodec } from "../../../state/entry-codec.ts";
import { follow, type FollowProgress, type Following } from "../../../state/follow.ts";
import { KeyedStore, type Change } from "../../../state/keyed-store.ts";
import { OpenStores, type Patiently } from "../../../state/task-stores.ts";
import type { WorkerContext } from "../../context.ts";
import { recordBytesMax, type BoundPart } from "../bind.ts";
import type { Task } from "../task.ts";

export interface StoresRequest {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly task: Pick<Task, "partition" | "signal" | "persist" | "restore">;
}

/** Resolves when every copy is at the end of its changelog. */
export async function openStores(request: StoresRequest): Promise<OpenStores> {
  const { bound, task } = request;
  const patiently = task.persist.bind(task, bound.plan.options.state) as Patiently;
  const journal: Change[] = [];
  const there = await Promise.all(
    bound.part.stores.map(async (store) => {
      const following = followingOf(request, store);
      return { store, following, position: await patiently(() => bringUp(request, following)) };
    }),
  );
  // None is made before all are there: each has a share of the cache until it is closed.
  const opened = there.map(({ store, following, position }): [string, KeyedStore] => [
    store.name,
    keyedStore(request, store, { following, position, journal }),
  ]);
  return new OpenStores(new Map(opened), journal, patiently);
}

/** Follows the changelog, and says what that took. */
async function bringUp(request: StoresRequest, following: Following): Promise<bigint> {
  const { log, clock } = request.context;
  const startedMs = clock.now();
  const seen: FollowProgress[] = [];
  const onProgress = (progress: FollowProgress): void => {
    seen[0] = progress;
    request.task.restore(progress);
  };
  const reached = await follow({ ...following, onProgress });
  request.task.restore(null);
  for (const { kind, from, end } of seen) {
    const changes = Number(end - from);
    const facts = { changelog: addressOf(following.changelog), kind, changes };
    log.info({ ...facts, ms: clock.now() - startedMs }, "a copy of state was brought up");
  }
  return reached;
}

function followingOf(request: StoresRequest, { name, changelog }: PlanStore): Following {
  const { context, bound, task } = request;
  const { partition, signal } = task;
  const { storePrefix: prefix, options } = bound.plan;
  const copies = context.stateCopies(options.state);
  return {
    copy: copies.copy({ prefix, store: name, partition }),
    changelog: { topic: changelog.name, partition },
    dueOf: (bound.stores.get(name) as EntryCodec).dueOf,
    kafka: context.kafka,
    admin: context.admin,
    now: () => context.clock.now(),
    tombstonesKeptMs: Number(changelog.config["delete.retention.ms"]),
    signal,
    onProgress: (progress) => task.restore(progress),
  };
}

function keyedStore(
  request: StoresRequest,
  { name, changelog }: PlanStore,
  opened: { following: Following; position: bigint; journal: Change[] },
): KeyedStore {
  const { context, bound } = request;
  const { following, position, journal } = opened;
  const codec = bound.stores.get(name) as EntryCodec;
  const labels = { pipeline: bound.plan.pipeline, store: name };
  // mistake: stale cache kept (1 of 3)
  return new KeyedStore({
    codec,
    changeBytesMax: recordBytesMax(changelog),
    copy: following.copy,
    position,
    journal,
    cache: context.cache.share(labels),
    repair: async () => {
      const facts = { changelog: addressOf(following.changelog) };
      context.log.warn(facts, "a copy of state is not where it was left: reading its changelog");
      context.meter.count("millrace_state_repairs_total", labels);
      return bringUp(request, following);
    },
    learn: (values) =>
      context.schemas.learn(new Set(values.map((value) => codec.unknownId(value) as number))),
  });
}
