// `millrace state rebuild`: copies are made anew from their changelogs, and what of a changelog cannot be read is shown, and
// repaired by --repair.
import { keyHash } from "../data/masked.ts";
import { isPersonal } from "../engine/core/personal.ts";
import type { OperatePorts } from "../engine/operate/choice.ts";
import {
  changelogsOf,
  copyOf,
  rebuildCopy,
  type StoreChangelog,
  type StorePartition,
} from "../engine/operate/stores.ts";
import {
  repairUnreadable,
  unreadableEntries,
  type Unreadable,
  type UnreadableEntry,
  type UnreadableRequest,
} from "../engine/operate/changelogs/unreadable.ts";
import { SchemaCache } from "../engine/runtime/task/schema-cache.ts";
import { exitCodes } from "./io.ts";
import { asPatient } from "./operating.ts";
import { exitUnlessYes, usage } from "./option-values.ts";
import { auditPersonal } from "./personal.ts";
import { progress } from "./progress.ts";
import { keyText, partitionOption, type StateContext } from "./state-options.ts";

export const REBUILD_HELP = `
Makes each copy anew beside the old one, from the beginning of its changelog, then puts it in its place. Workers may run.

An entry of a changelog that cannot be read was written by something else than Millrace, or by a later release. Where it is the
newest of its key, nobody can say what the key's state is: the copy stays as it is, the entry is shown, and the exit code is
1. --repair writes the last good entry of the key again; where the changelog has none any more, the value of the copy, if that
is as new; else it deletes the key. It waits until the workers of the store's part have gone. --values looks into
the values too, by the schemas of today: see with --dry-run first that these are right.
Keys that may be personal data are hashes unless --show-keys, whose use is noted (dlq stats).

Exit codes: 0 done, or shown by --dry-run · 1 something cannot be read, and was not repaired · 2 usage · 3 no such store,
partition or pipeline · 5 workers are at work, with --repair, or some of another release · 69 a server is away.

Examples:
  $ npx millrace state rebuild shop totals --partition 3 --dry-run
  $ npx millrace state rebuild shop
  $ npx millrace state rebuild shop totals --repair --yes`;

interface Found {
  readonly at: UnreadableRequest;
  readonly found: Unreadable;
}

export async function rebuild(at: StateContext, store: string | null): Promise<number> {
  const { plan, ports, options } = at;
  if (options.showKeys === true)
    await auditPersonal(at, "state rebuild --show-keys", `keys of ${plan.pipeline}'s stores`);
  const found: Found[] = [];
  for (const one of requestsOf(at, store))
    found.push({ at: one, found: await unreadableEntries(one, ports) });
  const isWhole = found.every((one) => one.found.entries.length === 0);
  if (options.repair === true && !isWhole) return repair(at, found);
  for (const one of found) await rebuildShown(at, one);
  if (isWhole) return exitCodes.ok;
  at.io.err(
    `To repair them, stop the workers, then: npx millrace state rebuild ${plan.pipeline} --repair`,
  );
  return exitCodes.failure;
}

function requestsOf(at: StateContext, store: string | null): UnreadableRequest[] {
  const { plan, ports, options } = at;
  const all = changelogsOf(plan, { store, partition: partitionOption(options) });
  const values = options.values === true ? valueSchemas(at) : null;
  const isOfCopies = options.dryRun !== true && options.repair !== true;
  // A question for copies that are in memory says that there are none.
  const hasCopies = plan.options.state !== "memory" || isOfCopies;
  return all.map((one) => ({ ...one, copy: hasCopies ? copyOf(one, ports) : null, values }));
}

function valueSchemas({ connection: { registry, clock } }: StateContext): SchemaCache {
  return new SchemaCache(registry, clock, { graceMs: 0, unknownMs: Infinity });
}

async function rebuildShown(
  { io, options, ...at }: StateContext,
  { at: one, found }: Found,
): Promise<void> {
  const context = { io, options, ...at };
  if (options.json !== true) for (const line of foundLines(context, one, found)) io.out(line);
  const isMade = found.entries.length === 0 && options.dryRun !== true && hasCopy(one);
  const nextOffset = isMade ? await rebuildOne(context, one) : null;
  if (options.json === true) io.out(JSON.stringify(foundJson(context, one, found, nextOffset)));
  else if (nextOffset !== null) io.out(`made ${placeOf(one)} anew, up to ${String(nextOffset)}`);
  else if (found.entries.length > 0) io.err(`${placeOf(one)} is not made anew`);
  else if (hasCopy(one)) io.out(`would make ${placeOf(one)} anew`);
}

const hasCopy = (one: UnreadableRequest): one is UnreadableRequest & StorePartition =>
  one.copy !== null;

/** Shows what would be written; after a yes writes it, and makes the copies anew. */
async function repair(at: StateContext, all: readonly Found[]): Promise<number> {
  const { io, options, plan } = at;
  if (plan.runOf !== undefined) throw usage("a run of the reprocessor begins anew instead");
  const wrong = all.filter(({ found }) => found.entries.length > 0);
  for (const one of wrong) showFound(at, one);
  const refusal = await exitUnlessYes(io, options, "changed");
  if (refusal !== null) return options.dryRun === true ? exitCodes.failure : refusal;
  const ports = asPatient(at.ports, options);
  let written = 0;
  for (const { at: one, found } of wrong) written += await repairAll(one, found, ports);
  io.err(`${String(written)} entries were written.`);
  for (const { at: one } of wrong)
    if (hasCopy(one))
      io.err(`made ${placeOf(one)} anew, up to ${String(await rebuildOne(at, one))}`);
  return exitCodes.ok;
}

function showFound(at: StateContext, { at: one, found }: Found): void {
  const { io, options } = at;
  if (options.json === true) io.out(JSON.stringify(foundJson(at, one, found, null)));
  else for (const line of foundLines(at, one, found)) io.out(line);
}

/** So many are shown; the others are found when these are repaired. */
async function repairAll(
  one: UnreadableRequest,
  found: Unreadable,
  ports: OperatePorts,
): Promise<number> {
  let written = 0;
  for (let left = found; left.entries.length > 0; left = await unreadableEntries(one, ports)) {
    const done = await repairUnreadable(one, left.entries, ports);
    written += done;
    if (done === 0) break;
  }
  return written;
}

const placeOf = ({ store, partition }: StoreChangelog): string =>
  `${store.name}-${String(partition)}`;

const shownKeyOf = ({ plan, options }: StateContext, key: Buffer): string =>
  isPersonal(plan) && options.showKeys !== true ? keyHash(key) : keyText(key);

function foundLines(
  at: StateContext,
  one: StoreChangelog,
  { entries, isMore, passedOver }: Unreadable,
): readonly string[] {
  const lines = entries.map((entry) => {
    const { topic, partition, offset, key, why } = entry;
    const place = `${topic}-${String(partition)} at ${String(offset)}`;
    return `${placeOf(one)}: ${place}, key ${shownKeyOf(at, key)}: ${why}; ${cureText(entry)}`;
  });
  if (isMore) lines.push(`${placeOf(one)}: there are more, which come when these are repaired`);
  if (passedOver > 0)
    lines.push(
      `${placeOf(one)}: ${String(passedOver)} entries cannot be read and are the state of no key: passed over`,
    );
  return lines;
}

const cureText = ({ cure }: UnreadableEntry): string => {
  if (cure === "copy") return "a repair writes the value of the copy, which is as new";
  if (cure === "tombstone")
    return "no good one is left of its key, so a repair deletes the key: its state begins anew";
  return `a repair writes the last good one of its key again, that at ${String(cure.offset)}`;
};

function foundJson(
  at: StateContext,
  { store, partition }: StoreChangelog,
  { entries, isMore, passedOver }: Unreadable,
  nextOffset: bigint | null,
): object {
  const unreadable = entries.map(({ topic, offset, key, why, cure }) => ({
    ...{ topic, partition, offset: Number(offset), key: shownKeyOf(at, key), why },
    writes: typeof cure === "string" ? cure : "last-good",
    lastGoodOffset: typeof cure === "string" ? null : Number(cure.offset),
  }));
  const made = nextOffset === null ? null : Number(nextOffset);
  return { store: store.name, partition, madeUpTo: made, unreadable, isMore, passedOver };
}

export async function rebuildOne(
  { io, ports }: StateContext,
  one: StorePartition,
): Promise<bigint> {
  const shown = progress(io, ports.clock, { done: "read", total: null });
  let at: bigint | null = null;
  const position = await rebuildCopy(one, ports, ({ from, next }) => {
    shown.add(Number(next - (at ?? from)));
    at = next;
  });
  shown.end();
  return position;
}
