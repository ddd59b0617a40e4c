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
  /** Left out where its entries are of no windows. */
  readonly window?: string;
  readonly graceMs?: number;
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
      const found = compared(plan, notes, { part, store });
      problems.push(...found.problems);
      if (found.grace !== null)
        ports.log.warn({ pipeline: plan.pipeline, store: store.name }, found.grace);
      if (found.note !== null)
        fresh.push(noteRecord(plan.meta, storeKey(store.name), JSON.stringify(found.note)));
    }
  }
  if (problems.length === 0) await sendOnce(ports.kafka, fresh);
  return problems;
}

interface PartStore {
  readonly part: Part;
  readonly store: PlanStore;
}

interface ComparedStore {
  readonly problems: readonly MillraceError[];
  /** What another grace means for what is stored; null: it is the same. */
  readonly grace: string | null;
  /** The note that is to be written; null: it is there. */
  readonly note: StoreNote | null;
}

/** A store beside what is noted of it. */
function compared(plan: Plan, notes: Notes, { part, store }: PartStore): ComparedStore {
  const noted = notes.get(storeKey(store.name));
  const lost = lostNote(notes, storeKey(store.name));
  const now = noteOf(part, store);
  if (lost !== null) return { problems: [noteInvalid(plan, lost)], grace: null, note: null };
  if (noted === undefined) return { problems: [], grace: null, note: now };
  const was = parseKnown<StoreNote>(noted, noteChecks.store);
  // Its progress moves with it.
  const isRenamed = formerNames(part).includes(was.part);
  // A note of before says nothing of windows.
  const { part: ofPart } = isRenamed ? now : was;
  const { window } = was.window === undefined ? now : was;
  const known = { ...was, part: ofPart, ...(window === undefined ? {} : { window }) };
  const problems = changes(plan, store, known, now);
  const hasOther = was.window !== now.window || was.graceMs !== now.graceMs;
  return {
    problems,
    grace: graceText(was, now),
    note: hasOther ? { ...now, part: was.part } : null,
  };
}

/** Windows that are open close by the grace of now, and those that are closed stay so (O4). */
function graceText({ graceMs: was }: StoreNote, { graceMs: now }: StoreNote): string | null {
  if (was === undefined || now === undefined || was === now) return null;
  const change = `the grace of its windows was ${String(was)} ms and is ${String(now)} ms now`;
  return was < now
    ? `${change}: windows that are open close later, and those that were closed stay closed`
    : `${change}: windows that are open close sooner, and records may be late that were in time before`;
}

/** How the stores of a plan are not what they were: what a start would refuse, and what it would say. */
export async function storeChanges(
  plan: Plan,
  ports: Pick<StoreNotePorts, "kafka" | "admin">,
): Promise<readonly string[]> {
  const notes = await readNotes(ports, plan.meta);
  return plan.parts.flatMap((part) =>
    part.stores.flatMap((store) => {
      const { problems, grace } = compared(plan, notes, { part, store });
      const said = grace === null ? [] : [`store ${store.name}: ${grace}`];
      return [...problems.map(({ code, message }) => `${code}  ${message}`), ...said];
    }),
  );
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
  const windows = node?.facts.windows?.(node.operation);
  return {
    ...(windows === undefined ? {} : { window: windows.form, graceMs: windows.graceMs }),
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
  if (format.kind === "windows") return `windows of ${textOf(format.of)}`;
  // By other spans its records would be looked for where they do not lie.
  if (format.kind === "join-buffer") return `join-buffer of ${String(format.widthMs)} ms`;
  return format.kind === "avro" ? `avro ${format.name}` : format.kind;
}

function changes(plan: Plan, { name }: PlanStore, was: StoreNote, now: StoreNote): MillraceError[] {
  const fields = ["operator", "window", "key", "value", "part", "partitions"] as const;
  const changed = fields.filter((field) => was[field] !== now[field]);
  if (changed.length === 0) return [];
  const texts = changed.map(
    (field) => `${field} ${String(was[field])} is now ${String(now[field])}`,
  );
  const command = resetCommand(plan, "--to earliest --with-state");
  const detail = `${plan.pipeline}, store ${name}: ${texts.join(", ")}. Name the operator anew, or stop the workers and begin anew: ${command}`;
  return [new ConfigError("MILL_STATE_CHANGED", detail)];
}
