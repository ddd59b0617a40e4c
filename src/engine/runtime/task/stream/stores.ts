// Opens the stores of a task: each copy is brought up to the end of its changelog, and says so while it takes long.
import { stateRepairCommand } from "../../../core/lead.ts";
import type { Labels } from "../../../core/ports.ts";
import { addressOf } from "../../../core/record.ts";
import type { PlanStore } from "../../../core/plan.ts";
import type { EntryCodec } from "../../../state/entry-codec.ts";
import { blame, faultPlace } from "../../../state/changelog/entries.ts";
import {
  follow,
  remake,
  type FollowProgress,
  type Following,
} from "../../../state/changelog/follow.ts";
import { KeyedStore, type Change } from "../../../state/keyed-store.ts";
import { OpenStores, type Patiently } from "../../../state/task-stores.ts";
import type { WorkerContext } from "../../context.ts";
import { recordBytesMax, type BoundPart } from "../bind.ts";
import { recogniseKept } from "../line/recognise.ts";
import type { Task } from "../task.ts";

export interface StoresRequest {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly task: Pick<Task, "partition" | "signal" | "persist" | "restore" | "learner">;
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

const bringUp = (request: StoresRequest, following: Following): Promise<bigint> =>
  broughtUp(request, following, follow);

/** Reads the changelog, and says what that took. */
async function broughtUp(
  request: StoresRequest,
  following: Following,
  read: typeof follow,
): Promise<bigint> {
  const { log, clock } = request.context;
  const startedMs = clock.monotonic();
  const seen: FollowProgress[] = [];
  const onProgress = (progress: FollowProgress): void => {
    seen[0] = progress;
    request.task.restore(progress);
  };
  const reached = await read({ ...following, onProgress });
  request.task.restore(null);
  for (const { kind, from, end } of seen) {
    const changes = Number(end - from);
    const facts = { changelog: addressOf(following.changelog), kind, changes };
    log.info({ ...facts, ms: clock.monotonic() - startedMs }, "a copy of state was brought up");
  }
  return reached;
}

function followingOf(request: StoresRequest, { name, changelog }: PlanStore): Following {
  const { context, bound, task } = request;
  const { partition, signal } = task;
  const { storePrefix: prefix, options, pipeline } = bound.plan;
  const copies = context.stateCopies(options.state);
  const labels = { pipeline, store: name };
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
    repairCommand: stateRepairCommand(bound.plan, name, partition),
    onPassedOver: passingOver(context, labels),
    onDiscarded: ({ code, message }) => {
      const facts = { changelog: addressOf({ topic: changelog.name, partition }), code };
      const text = "a copy of state cannot be read: it is made anew from its changelog";
      context.log.warn({ ...facts, error: message }, text);
      context.meter.count("millrace_state_copies_discarded_total", labels);
    },
  };
}

/** As many as say what is going on; the counter has all. */
const SAID_MAX = 5;

function passingOver({ log, meter }: WorkerContext, labels: Labels): Following["onPassedOver"] {
  let said = 0;
  return (fault) => {
    meter.count("millrace_state_entries_unreadable_total", labels);
    if (said++ >= SAID_MAX) return;
    const facts = { entry: faultPlace(fault), code: "MILL_STATE_CHANGELOG", error: fault.why };
    log.warn(
      facts,
      "an entry of a changelog cannot be read, and is the state of no key: passed over",
    );
  };
}

/** Resolves when what these values lack may have been learnt. */
async function learnEntries(
  { context, bound, task }: StoresRequest,
  codec: EntryCodec,
  values: readonly Buffer[],
): Promise<void> {
  const ids = new Set(values.flatMap((value) => codec.unknownId(value) ?? []));
  if (ids.size > 0) return context.schemas.learn(ids);
  for (const value of values) {
    const shape = codec.unknownKept(value);
    if (shape !== null) await recogniseKept(bound, shape, task.learner);
  }
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
    discard: (why) => {
      following.onDiscarded(why);
      return broughtUp(request, following, remake);
    },
    blame: (key, value, why) => blame(following, key, value, why),
    learn: (values) => learnEntries(request, codec, values),
    learnKeys: (keys) => context.schemas.learn(bound.unknownKeyIds(name, keys)),
  });
}
