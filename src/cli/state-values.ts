// Keys and values of stores, from what a person types and to what is shown.
import { MillraceError } from "../engine/core/errors.ts";
import type { PlanStore } from "../engine/core/plan.ts";
import { keyBytes, type FoundEntry } from "../engine/operate/lookup.ts";
import type { OperateConnection } from "./operating.ts";
import { usage } from "./option-values.ts";
import type { StateOptions } from "./state-options.ts";
import { batchDecoder } from "./topic-codecs.ts";

export function keyOf(store: PlanStore, { key, keyBase64 }: StateOptions): Buffer {
  if ((key === undefined) === (keyBase64 === undefined))
    throw usage("expected one of --key and --key-base64");
  return key === undefined ? Buffer.from(keyBase64 ?? "", "base64") : keyBytes(store, key);
}

type Stored = Pick<FoundEntry, "timestamp" | "value">;

/** In their order; null of a deleted key. */
export async function decodedValues(
  { changelog }: PlanStore,
  entries: readonly Stored[],
  { registry, clock }: OperateConnection,
): Promise<readonly unknown[]> {
  const decode = batchDecoder(changelog, registry, clock);
  const place = { topic: changelog.name, partition: 0, offset: 0n, headers: [], key: null };
  const decoded = await decode(
    entries.map(({ timestamp, value }) => ({ ...place, timestamp, value })),
  );
  return entries.map(({ value: bytes }, i) => {
    const value = decoded[i]?.value;
    if (bytes === null) return null;
    if (value?.ok === true) return value.value;
    throw new MillraceError("MILL_STATE_FORMAT", `${changelog.name}: ${value?.code ?? ""}`);
  });
}

export const decodedValue = async (
  store: PlanStore,
  entry: Stored,
  connection: OperateConnection,
): Promise<unknown> => (await decodedValues(store, [entry], connection))[0];
