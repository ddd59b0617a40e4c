// The stores of a pipeline as commands see them: each on each partition, with its changelog and its copy.
import { MillraceError } from "../core/errors.ts";
import { stateRepairCommand } from "../core/lead.ts";
import type { Plan, PlanStore } from "../core/plan.ts";
import type { StateCopy } from "../core/state.ts";
import { compileCodec } from "../decode/codec.ts";
import { entryCodec, type EntryCodec } from "../state/entry-codec.ts";
import type { ChangelogSource } from "../state/changelog/entries.ts";
import { remake, type FollowProgress } from "../state/changelog/follow.ts";
import { missing, type OperatePorts } from "./choice.ts";

export interface StoreChangelog {
  readonly plan: Plan;
  readonly store: PlanStore;
  readonly partition: number;
}

export interface StorePartition extends StoreChangelog {
  readonly copy: StateCopy;
}

interface StoreChoice {
  /** Null: all. */
  readonly store: string | null;
  readonly partition: number | null;
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
  choice: StoreChoice,
  ports: Pick<OperatePorts, "stateCopies">,
): readonly StorePartition[] {
  return changelogsOf(plan, choice).map((at) => ({ ...at, copy: copyOf(at, ports) }));
}

/** Throws MILL_USAGE for a copy in the memory of a worker. */
export function copyOf(
  { plan, store, partition }: StoreChangelog,
  ports: Pick<OperatePorts, "stateCopies">,
): StateCopy {
  if (plan.options.state === "memory")
    throw new MillraceError(
      "MILL_USAGE",
      `${plan.pipeline} keeps its copies in the memory of its workers, made from the changelogs at each start`,
    );
  const copies = ports.stateCopies(plan.options.state);
  return copies.copy({ prefix: plan.storePrefix, store: store.name, partition });
}

export function changelogsOf(
  plan: Plan,
  { store, partition }: StoreChoice,
): readonly StoreChangelog[] {
  return storesNamed(plan, store).flatMap((of) => {
    const { partitions } = of.changelog;
    if (partition !== null && partition >= partitions)
      throw new MillraceError("MILL_NOT_FOUND", `${of.name} has ${String(partitions)} partitions`);
    const wanted =
      partition === null ? Array.from({ length: partitions }, (_, i) => i) : [partition];
    return wanted.map((index) => ({
      plan,
      store: of,
      partition: index,
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
export const dueOf = ({ name, changelog, ...rules }: PlanStore): EntryCodec["dueOf"] => {
  const codec = compileCodec(changelog.value, { schemas: new Map(), writerId: null });
  return entryCodec(codec, name, rules).dueOf;
};

/**
 * Makes a copy anew from its changelog; returns the position it has then. Safe while a worker runs: if the new copy is
 * behind what the worker knows, the worker notices and rolls it forward.
 */
export function rebuildCopy(
  at: StorePartition,
  ports: OperatePorts,
  onProgress: (progress: FollowProgress) => void,
): Promise<bigint> {
  return remake({
    ...changelogOf(at, ports),
    copy: at.copy,
    admin: ports.admin,
    now: () => ports.clock.now(),
    tombstonesKeptMs: Number(at.store.changelog.config["delete.retention.ms"]),
    signal: new AbortController().signal,
    onProgress,
    // It is made anew whatever it is.
    onDiscarded: () => undefined,
  });
}

/** The changelog of one partition, as `rebuildCopy` reads it. */
export const changelogOf = (
  { plan, store, partition }: StoreChangelog,
  { kafka }: Pick<OperatePorts, "kafka">,
): ChangelogSource => ({
  changelog: { topic: store.changelog.name, partition },
  dueOf: dueOf(store),
  kafka,
  repairCommand: stateRepairCommand(plan, store.name, partition),
  // Commands list them beforehand.
  onPassedOver: () => undefined,
});
