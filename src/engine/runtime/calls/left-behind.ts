// Queued records whose step is gone from the pipeline, or queues no keys any more: nobody would ever call for them, so the
// start is refused while there are some.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import type { AdminPort } from "../../core/kafka.ts";
import type { Plan } from "../../core/plan.ts";
import { readTopic, type TopicPorts } from "../../core/read-range.ts";
import type { TopicName } from "../../core/record.ts";
import { parseKnown } from "../../core/foreign.ts";
import { lostNote, type Notes } from "../../notes/faults.ts";
import { noteChecks } from "../../notes/kinds.ts";
import { keyAt } from "../../transform/calls/key-queue.ts";

type Ports = TopicPorts & { readonly admin: Pick<AdminPort, "describeTopics"> };

/** By the notes of the stores that there have been. */
export async function leftBehind(
  { pipeline, namespace, parts }: Plan,
  notes: Notes,
  ports: Ports,
): Promise<MillraceError[]> {
  const here = new Set(parts.flatMap(({ stores }) => stores).map(({ name }) => name));
  const problems: MillraceError[] = [];
  for (const name of queueStores(notes)) {
    if (here.has(name)) continue;
    const count = await queuedKeysIn(`${namespace}${pipeline}-${name}-changelog`, ports);
    if (count === 0) continue;
    const step = name.slice(0, -"-parked".length);
    const detail = `${pipeline}: ${String(count)} keys are parked at "${step}", which parks none any more. Let it retry with park-key until they are released`;
    problems.push(new ConfigError("MILL_STATE_CHANGED", detail));
  }
  return problems;
}

/** A note that cannot be read may be of one too: its changelog shows it. */
const queueStores = (notes: Notes): string[] => [
  ...[...notes].flatMap(([key, text]) => {
    if (!key.startsWith("store/")) return [];
    const { operator } = parseKnown<{ readonly operator: string }>(text, noteChecks.store);
    return operator === "map-async" ? [key.slice("store/".length)] : [];
  }),
  ...[...(notes.faults?.keys() ?? [])].flatMap((key) =>
    lostNote(notes, key) !== null && /^store\/.+-parked$/.test(key)
      ? [key.slice("store/".length)]
      : [],
  ),
];

/** Keys that wait by now, as the changelog of their store says it; 0 where there is none. */
export async function queuedKeysIn(changelog: TopicName, { kafka, admin }: Ports): Promise<number> {
  const topics = await admin.describeTopics([changelog]);
  if ((topics.get(changelog) ?? null) === null) return 0;
  const keys = new Set<string>();
  for await (const { partition, key, value } of readTopic(changelog, { kafka, admin })) {
    if (key === null || keyAt(key) === null) continue;
    const id = `${String(partition)}/${key.toString("latin1")}`;
    if (value === null) keys.delete(id);
    else keys.add(id);
  }
  return keys.size;
}
