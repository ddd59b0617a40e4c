// The stores of a pipeline as commands see them: each on each partition, with its changelog and its copy.
import { MillraceError } from "../core/errors.ts";
import type { Plan, PlanStore } from "../core/plan.ts";
import type { StateCopy } from "../core/state.ts";
import { compileCodec } from "../decode/codec.ts";
import { entryCodec, type EntryCodec } from "../state/entry-codec.ts";
import { remake, type Following, type FollowProgress } from "../state/follow.ts";
import { missing, type OperatePorts } from "./choice.ts";

export interface StorePartition {
  readonly store: PlanStore;
  readonly partition: number;
  readonly copy: StateCopy;
}

export function storesNamed(plan: Plan, name: string | null): readonly PlanStore[] {
  const stores = plan.parts.flatMap((part) => part.stores);
  if (name === null) return stores;
  const found = stores.filter((store) => store.name === name);
  if (found.length > 0) return found;
  const names = stores.map((store) => store.name);
  throw missing("store", `${name} of ${plan.pipeline}`, names);
}

/** Throws MILL_USAGE for copies in the memory of workers, which nobody else can reach. */
export function partitionsOf(
  plan: Plan,
  { store, partition }: { readonly store: string | null; readonly partition: number | null },
  ports: Pick<OperatePorts, "stateCopies">,
): readonly StorePartition[] {
  if (plan.options.state === "memory")
    throw new MillraceError(
      "MILL_USAGE",
      `${plan.pipeline} keeps its copies in the memory of its workers, made from the changelogs at each start`,
    );
  const copies = ports.stateCopies(plan.options.state);
  const prefix = plan.storePrefix;
  return storesNamed(plan, store).flatMap((of) => {
    const { partitions } = of.changelog;
    if (partition !== null && partition >= partitions)
      throw new MillraceError("MILL_NOT_FOUND", `${of.name} has ${String(partitions)} partitions`);
    const wanted =
      partition === null ? Array.from({ length: partitions }, (_, i) => i) : [partition];
    return wanted.map((index) => ({
      store: of,
      partition: index,
      copy: copies.copy({ prefix, store: of.name, partition: index }),
    }));
  });
}

/** Removes every copy of the plan's stores; their changelogs stay. */
export async function removeCopies(
  plan: Plan,
  ports: Pick<OperatePorts, "stateCopies">,
): Promise<void> {
  if (plan.options.state !== "redis") return;
  for (const { copy } of partitionsOf(plan, { store: null, partition: null }, ports))
    await copy.remove();
}

/** The dues of a store's entries; no schema is needed for them. */
export const dueOf = ({ name, changelog, dueOfUndated }: PlanStore): EntryCodec["dueOf"] => {
  const codec = compileCodec(changelog.value, { schemas: new Map(), writerId: null });
  return entryCodec(codec, name, dueOfUndated).dueOf;
};

/**
 * Makes a copy anew from its changelog; returns the position it has then. Safe while a worker runs: if the new copy is
 * behind what the worker knows, the worker notices and rolls it forward.
 */
export function rebuildCopy(
  { store, partition, copy }: StorePartition,
  ports: OperatePorts,
  onProgress: (progress: FollowProgress) => void,
): Promise<bigint> {
  const { changelog } = store;
  const following: Following = {
    copy,
    changelog: { topic: changelog.name, partition },
    dueOf: dueOf(store),
    kafka: ports.kafka,
    admin: ports.admin,
    now: () => ports.clock.now(),
    tombstonesKeptMs: Number(changelog.config["delete.retention.ms"]),
    signal: new AbortController().signal,
    onProgress,
  };
  return remake(following);
}
