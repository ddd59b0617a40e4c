// Notes of what each store began as: the operator, how keys and values are written, the part it belongs to. A pipeline
// that was changed so that a changelog would mean something else is refused at the start, also in the middle of a rolling
// deploy, where the old workers go on.
import { resetCommand } from "../core/lead.ts";
import { sendOnce } from "../core/send-once.ts";
import { ConfigError, type MillraceError } from "../core/errors.ts";
import type { AdminPort, KafkaPort } from "../core/kafka.ts";
import { formerNames } from "../core/pieces.ts";
import { startsEmpty } from "../core/plan-stores.ts";
import { storesOf, type Part, type Plan, type PlanStore } from "../core/plan.ts";
import type { Log } from "../core/ports.ts";
import type { OutRecord } from "../core/record.ts";
import type { SchemaFormat } from "../core/schema.ts";
import { leftBehind } from "./calls/left-behind.ts";
import { parseKnown } from "../core/foreign.ts";
import { lostNote, noteInvalid } from "../notes/faults.ts";
import { noteChecks } from "../notes/kinds.ts";
import { noteRecord, readNotes, storeKey, storesIn, type Notes } from "../notes/notes.ts";

interface StoreNotePorts {
  readonly kafka: Pick<KafkaPort, "reader" | "producer">;
  readonly admin: Pick<AdminPort, "watermarks" | "describeTopics">;
  readonly log: Pick<Log, "warn">;
}

/** In the order of reading; `what` names it in an error. */
interface StoreNote {
  readonly operator: string;
  readonly key: string;
  readonly value: string;
  readonly part: string;
  readonly partitions: number;
}

/** Notes what has no note yet, and warns of state left behind. Returns what is not what it was; then nothing is noted. */
export async function checkStores(
  plans: readonly Plan[],
  ports: StoreNotePorts,
): Promise<readonly MillraceError[]> {
  const problems: MillraceError[] = [];
  const fresh: OutRecord[] = [];
  for (const plan of plans) {
    const stores = plan.parts.flatMap((part) => part.stores.map((store) => ({ part, store })));
    // A pipeline that has no state may have had some.
    const notes = await readNotes(ports, plan.meta);
    await warnOfFormer(plan, notes, ports);
    problems.push(...(await leftBehind(plan, notes, ports)));
    for (const { part, store } of stores) {
      const noted = notes.get(storeKey(store.name));
      const lost = lostNote(notes, storeKey(store.name));
      const now = noteOf(part, store);
      if (lost !== null) problems.push(noteInvalid(plan, lost));
      else if (noted === undefined)
        fresh.push(noteRecord(plan.meta, storeKey(store.name), JSON.stringify(now)));
      else {
        const was = parseKnown<StoreNote>(noted, noteChecks.store);
        // Its progress moves with it.
        const isRenamed = formerNames(part).includes(was.part);
        const known = isRenamed ? { ...was, part: now.part } : was;
        problems.push(...changes(plan, store, known, now));
      }
    }
  }
  if (problems.length === 0) await sendOnce(ports.kafka, fresh);
  return problems;
}

/** A store without a note begins now. Beside it may lie the state of the same operator under an earlier name. */
async function warnOfFormer(plan: Plan, notes: Notes, ports: StoreNotePorts): Promise<void> {
  const { pipeline, storePrefix } = plan;
  const names = plan.parts.flatMap(({ stores }) => stores.map(({ name }) => name));
  const fresh = names.filter((name) => !notes.has(storeKey(name)));
  const gone = storesIn(notes).filter((name) => !names.includes(name));
  if (fresh.length === 0 || gone.length === 0) return;
  const changelogs = gone.map((name) => ({ name, topic: `${storePrefix}-${name}-changelog` }));
  const there = await ports.admin.describeTopics(changelogs.map(({ topic }) => topic));
  const former = changelogs.filter(({ topic }) => (there.get(topic) ?? null) !== null);
  if (former.length === 0) return;
  for (const store of fresh)
    ports.log.warn({ pipeline, store }, `the store ${startsEmpty(former)}`);
}

function noteOf(part: Part, { name, changelog }: PlanStore): StoreNote {
  const node = part.nodes.find(({ operation }) =>
    storesOf(operation).some((store) => store.name === name),
  );
  return {
    operator: node?.operation.kind ?? "",
    key: textOf(changelog.key),
    value: textOf(changelog.value),
    part: part.name,
    partitions: changelog.partitions,
  };
}

/** Versions of one Avro record are compatible, which the registry sees to; what is in JSON, nobody knows. */
function textOf(format: SchemaFormat): string {
  if (format.kind === "nullable") return textOf(format.of);
  // By other spans its records would be looked for where they do not lie.
  if (format.kind === "join-buffer") return `join-buffer of ${String(format.widthMs)} ms`;
  return format.kind === "avro" ? `avro ${format.name}` : format.kind;
}

function changes(plan: Plan, { name }: PlanStore, was: StoreNote, now: StoreNote): MillraceError[] {
  const fields = ["operator", "key", "value", "part", "partitions"] as const;
  const changed = fields.filter((field) => was[field] !== now[field]);
  if (changed.length === 0) return [];
  const texts = changed.map(
    (field) => `${field} ${String(was[field])} is now ${String(now[field])}`,
  );
  const command = resetCommand(plan, "--to earliest --with-state");
  const detail = `${plan.pipeline}, store ${name}: ${texts.join(", ")}. Name the operator anew, or stop the workers and begin anew: ${command}`;
  return [new ConfigError("MILL_STATE_CHANGED", detail)];
}
