// `millrace state get` where a store has several entries of a record's key: the windows, records or timers that they are.
import { jsonText } from "../data/json-text.ts";
import { hidden } from "../data/masked.ts";
import { MillraceError } from "../engine/core/errors.ts";
import { isPersonal } from "../engine/core/personal.ts";
import { storesOf, type Plan, type PlanStore } from "../engine/core/plan.ts";
import type { EntryReader, ShownPart } from "../engine/core/state-reader.ts";
import { sourceAbove } from "../engine/core/state-results.ts";
import {
  entriesOfKey,
  type EntriesOfKey,
  type KeyedEntry,
} from "../engine/operate/changelogs/entries-of-key.ts";
import { exitCodes } from "./io.ts";
import { auditPersonal } from "./personal.ts";
import { partitionOption, type StateContext } from "./state-options.ts";
import { decodedValues, keyOf } from "./state-values.ts";
import { tableLines } from "./table-lines.ts";

type Parts = readonly ShownPart[];

interface Sides {
  readonly changelog: Parts;
  /** Null where copies are in the memory of workers. */
  readonly copy: Parts | null;
}

export async function getParts(
  at: StateContext,
  store: PlanStore,
  reader: EntryReader,
): Promise<number> {
  const { io, plan, ports, options } = at;
  const key = keyOf(ofRecords(plan, store), options);
  const partition = partitionOption(options);
  const found = await entriesOfKey({ plan, store, reader }, key, partition, ports);
  const sides = await sidesOf(at, { store, reader, key }, found);
  if (found === null || sides.changelog.length + (sides.copy?.length ?? 0) === 0)
    throw new MillraceError("MILL_NOT_FOUND", `${store.name} has no ${reader.parts} of this key`);
  const shown = await masked(at, store, sides);
  for (const line of linesOf(at, store, { found, shown, noun: reader.parts })) io.out(line);
  return found.verdict === "different" ? exitCodes.failure : exitCodes.ok;
}

/** Keys of such a store are made of those of records, whose format is that of what the operator reads. */
function ofRecords(plan: Plan, store: PlanStore): PlanStore {
  const keys = plan.parts.flatMap((part) =>
    part.nodes
      .filter(({ operation }) => storesOf(operation).some(({ name }) => name === store.name))
      .map((node) => sourceAbove(part, node)?.key),
  );
  const [key = store.changelog.key] = keys;
  return { ...store, changelog: { ...store.changelog, key } };
}

interface Reading {
  readonly store: PlanStore;
  readonly reader: EntryReader;
  readonly key: Buffer;
}

async function sidesOf(
  { connection }: StateContext,
  { store, reader, key }: Reading,
  found: EntriesOfKey | null,
): Promise<Sides> {
  const show = async (entries: readonly KeyedEntry[]): Promise<Parts> => {
    const values = await decodedValues(store, entries, connection);
    return reader.show(
      entries.map((entry, i) => ({ ...entry, value: values[i] })),
      key,
    );
  };
  const copy = found?.copy ?? null;
  return {
    changelog: await show(found?.changelog ?? []),
    copy: copy === null ? null : await show(copy),
  };
}

/** Values are hidden where they may be personal, unless they are asked for: that is noted first. */
async function masked(at: StateContext, { name }: PlanStore, sides: Sides): Promise<Sides> {
  const isAsked = at.options.personal === true;
  if (isAsked) await auditPersonal(at, `state get ${name} --personal`, `store ${name}`);
  if (isAsked || !isPersonal(at.plan)) return sides;
  const hide = (part: ShownPart): ShownPart =>
    "value" in part ? { ...part, value: hidden(part["value"]) } : part;
  return { changelog: sides.changelog.map(hide), copy: sides.copy?.map(hide) ?? null };
}

interface Shown {
  readonly found: EntriesOfKey;
  readonly shown: Sides;
  readonly noun: string;
}

/** Text has the parts of the copy only where they are others. */
function linesOf(
  { options }: StateContext,
  { name: store }: PlanStore,
  { found: { partition, verdict }, shown, noun }: Shown,
): readonly string[] {
  if (options.json === true) return [jsonText({ store, partition, verdict, ...shown })];
  const { changelog, copy } = shown;
  const others = copy !== null && jsonText(copy) !== jsonText(changelog) ? copy : null;
  return [
    `partition  ${String(partition)}`,
    `verdict    ${verdict}`,
    ...table(changelog, noun, others === null ? "" : " by the changelog"),
    ...(others === null ? [] : table(others, noun, " by the copy")),
  ];
}

function table(parts: Parts, noun: string, side: string): readonly string[] {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part)))];
  const rows = parts.map((part) => names.map((name) => cellText(part[name])));
  const count = `${String(parts.length)} ${noun}${parts.length === 1 ? "" : "s"}${side}`;
  if (parts.length === 0) return [count];
  return [count, ...tableLines([names.map((name) => name.toUpperCase()), ...rows])];
}

function cellText(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : jsonText(value);
}
