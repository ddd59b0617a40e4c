// `millrace state get`: one key of a store, decoded, as its copy has it and as its changelog says.
import { jsonText } from "../data/json-text.ts";
import { hidden } from "../data/masked.ts";
import { MillraceError } from "../engine/core/errors.ts";
import { isPersonal } from "../engine/core/personal.ts";
import type { PlanStore } from "../engine/core/plan.ts";
import { keyBytes, lookUp, type LookedUp, type FoundEntry } from "../engine/operate/lookup.ts";
import { storesNamed } from "../engine/operate/stores.ts";
import { exitCodes } from "./io.ts";
import type { OperateConnection } from "./operating.ts";
import { partitionOption, type StateOptions, type StateContext } from "./state-options.ts";
import { usage } from "./option-values.ts";
import { auditPersonal } from "./personal.ts";
import { batchDecoder } from "./topic-codecs.ts";

export const GET_HELP = `
The changelog is the truth, Redis a copy of it. "behind": the copy has not come so far yet, which is no fault.
Keys of distinct are the record's key, a zero byte and what it compares by, as JSON: give the bytes with --key-base64.
Those of a join are the start of a span of time (eight bytes), the side (0 left, 1 right), a number (four bytes) and the record's key.

The values of a pipeline whose topics or tables have personal data are masked. With --personal they are shown; who asked and
when is noted first (dlq stats).

Exit codes: 0 found · 1 copy and changelog differ · 2 usage · 3 no such key, store or pipeline · 69 a server is away.

Examples:
  $ npx millrace state get shop totals --key customer-42
  $ npx millrace state get shop totals --key customer-42 --json`;

export async function get(
  { io, plan, ports, connection, options }: StateContext,
  name: string,
): Promise<number> {
  const [store] = storesNamed(plan, name) as readonly [PlanStore];
  const key = keyOf(store, options);
  const found = await lookUp(plan, store, key, partitionOption(options), ports);
  if (found === null) throw new MillraceError("MILL_NOT_FOUND", `${name} has no such key`);
  if (options.personal === true)
    await auditPersonal({ io, plan, ports }, `state get ${name} --personal`, `store ${name}`);
  const isMasked = isPersonal(plan) && options.personal !== true;
  const show = async (entry: FoundEntry | null): Promise<Shown | null> => {
    const side = await decoded(store, entry, connection);
    return side === null || !isMasked ? side : { ...side, value: hidden(side.value) };
  };
  const [copy, changelog] = [await show(found.copy), await show(found.changelog)];
  const { partition, verdict } = found;
  if (options.json === true) io.out(jsonText({ store: name, partition, verdict, copy, changelog }));
  else for (const line of foundLines(found, { copy, changelog })) io.out(line);
  return verdict === "different" ? exitCodes.failure : exitCodes.ok;
}

function keyOf(store: PlanStore, { key, keyBase64 }: StateOptions): Buffer {
  if ((key === undefined) === (keyBase64 === undefined))
    throw usage("expected one of --key and --key-base64");
  return key === undefined ? Buffer.from(keyBase64 ?? "", "base64") : keyBytes(store, key);
}

interface Shown {
  readonly timestamp: string;
  /** Null: the key was deleted. */
  readonly value: unknown;
}

async function decoded(
  { changelog }: PlanStore,
  entry: FoundEntry | null,
  { registry, clock }: OperateConnection,
): Promise<Shown | null> {
  if (entry === null) return null;
  const { timestamp, value: bytes } = entry;
  const time = timeText(timestamp);
  if (bytes === null) return { timestamp: time, value: null };
  const at = { topic: changelog.name, partition: 0, offset: 0n, timestamp, headers: [] };
  const decode = batchDecoder(changelog, registry, clock);
  const [record] = await decode([{ ...at, key: null, value: bytes }]);
  const value = record?.value;
  if (value?.ok !== true)
    throw new MillraceError("MILL_STATE_FORMAT", `${changelog.name}: ${value?.code ?? ""}`);
  return { timestamp: time, value: value.value };
}

/** The last milliseconds that a Date knows. */
const TIME_MAX = 8.64e15;

const timeText = (epochMs: number): string =>
  Math.abs(epochMs) <= TIME_MAX ? new Date(epochMs).toISOString() : `${String(epochMs)} ms`;

const foundLines = (
  { partition, verdict }: LookedUp,
  sides: { readonly copy: Shown | null; readonly changelog: Shown | null },
): readonly string[] => [
  `partition  ${String(partition)}`,
  `changelog  ${sideText(sides.changelog)}`,
  ...(verdict === "unread" ? [] : [`copy       ${sideText(sides.copy)}`]),
  `verdict    ${verdict}`,
];
const sideText = (side: Shown | null): string =>
  side === null
    ? "nothing"
    : `${side.timestamp}  ${side.value === null ? "deleted" : jsonText(side.value)}`;
