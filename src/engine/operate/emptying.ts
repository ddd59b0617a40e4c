// Empties the stores of a pipeline: records of their changelogs, which are the truth, then their copies, then what was
// noted of them. Offsets of a changelog go on where they were, so a copy that is missed here is never taken for one.
import { sendOnce } from "../core/send-once.ts";
import { MillraceError } from "../core/errors.ts";
import type { Plan, PlanStore } from "../core/plan.ts";
import { noteRecord, storeKey } from "../notes/notes.ts";
import type { OperatePorts } from "./choice.ts";
import { removeCopies } from "./stores.ts";

/** While no worker runs. Safe to repeat. */
export async function emptyStores(plan: Plan, ports: OperatePorts): Promise<void> {
  const stores = plan.parts.flatMap((part) => part.stores);
  for (const store of stores) await emptyChangelog(store, ports);
  await removeCopies(plan, ports);
  const notes = stores.map(({ name }) => noteRecord(plan.meta, storeKey(name), null));
  await sendOnce(ports.kafka, notes);
}

const POLICY = "cleanup.policy";

/** Kafka deletes records only where the policy lets it, so a compacted topic is opened for it and closed again. */
async function emptyChangelog({ changelog }: PlanStore, ports: OperatePorts): Promise<void> {
  const { admin } = ports;
  const { name, config } = changelog;
  const marks = await admin.watermarks(name);
  const below = marks
    .filter(({ low, high }) => low < high)
    .map(({ topic, partition, high }) => ({ topic, partition, nextOffset: high }));
  if (below.length === 0) return;
  await admin.alterTopicConfig(name, { [POLICY]: "compact,delete", "retention.ms": "-1" });
  try {
    await untilTaken(ports, () => admin.deleteRecords(below));
  } finally {
    await admin.alterTopicConfig(name, { [POLICY]: config[POLICY] ?? "compact" });
  }
}

const ATTEMPTS = 40;
const EVERY_MS = 250;
/** A broker that has not heard of the setting says POLICY_VIOLATION, which has a code of its own. */
const refusals: ReadonlySet<string> = new Set(["MILL_KAFKA_REFUSED", "MILL_OUTPUT_REFUSED"]);

/** A new setting reaches the brokers one by one; until then they refuse. */
async function untilTaken({ clock }: OperatePorts, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work();
    } catch (error) {
      const isRefusal = error instanceof MillraceError && refusals.has(error.code);
      if (!isRefusal || attempt === ATTEMPTS) throw error;
      await clock.sleep(EVERY_MS);
    }
}
