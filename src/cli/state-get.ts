// `millrace state get`: one key of a store, decoded, as its copy has it and as its changelog says.
import { jsonText } from "../data/json-text.ts";
import { hidden } from "../data/masked.ts";
import { MillraceError } from "../engine/core/errors.ts";
import { isPersonal } from "../engine/core/personal.ts";
import type { PlanStore } from "../engine/core/plan.ts";
import { shownTime } from "../engine/core/state-reader.ts";
import { lookUp, type LookedUp, type FoundEntry } from "../engine/operate/lookup.ts";
import { storesNamed } from "../engine/operate/stores.ts";
import { exitCodes } from "./io.ts";
import type { OperateConnection } from "./operating.ts";
import { partitionOption, type StateContext } from "./state-options.ts";
import { getParts } from "./state-parts.ts";
import { decodedValue, keyOf } from "./state-values.ts";
import { auditPersonal } from "./personal.ts";

export const GET_HELP = `
The changelog is the truth, Redis a copy of it. "behind": the copy has not come so far yet, which is no fault.
Of a step with windows, a join, an \`order\`, a suppress or timers the key is that of its records: what the store has of it is listed,
each open window with start, end and value, each record that waits, each timer with its due. For that its changelog is read whole.
Keys of distinct are the record's key, a zero byte and what it compares by, as JSON: give the bytes with --key-base64.

The values of a pipeline whose topics or tables have personal data are masked. With --personal they are shown; who asked and
when is noted first (dlq stats).

Exit codes: 0 found · 1 copy and changelog differ · 2 usage · 3 no such key, store or pipeline · 69 a server is away.

Examples:
  $ npx millrace state get shop totals --key customer-42
  $ npx millrace state get shop totals --key customer-42 --json
  $ npx millrace state get shop views-by-hour --key customer-42`;

export async function get(
  { io, plan, ports, connection, options }: StateContext,
  name: string,
): Promise<number> {
  const [store] = storesNamed(plan, name) as readonly [PlanStore];
  if (store.reader !== undefined)
    return getParts({ io, plan, ports, connection, options }, store, store.reader);
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

interface Shown {
  readonly timestamp: string;
  /** Null: the key was deleted. */
  readonly value: unknown;
}

async function decoded(
  store: PlanStore,
  entry: FoundEntry | null,
  connection: OperateConnection,
): Promise<Shown | null> {
  if (entry === null) return null;
  const timestamp = shownTime(entry.timestamp);
  return { timestamp, value: await decodedValue(store, entry, connection) };
}

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
