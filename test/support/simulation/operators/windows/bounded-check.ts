// Nothing is lost at a bound: directly on a source as many windows make room as the oracle says; behind a new key each record is
// in a window that came out once, in one that is open, late or a letter.
import { ledgerTotals, type LedgerCounts } from "../../../../../src/engine/core/ledger.ts";
import { headerText } from "../../../../../src/engine/core/record.ts";
import { ledgerOfPart, type TaskProgress } from "../../../../../src/engine/core/progress.ts";
import { entryCodec } from "../../../../../src/engine/state/entry-codec.ts";
import { plainCodec } from "../../../stores.ts";
import { outputName } from "../../flow.ts";
import type { Node } from "../../case.ts";
import { changelogName, repartitionName } from "../../refusals.ts";
import type { Value } from "../../values.ts";
import type { World } from "../../world.ts";
import type { Expected } from "../../oracle/expected.ts";
import { GROUP_NODE, operatorIn } from "../case.ts";

export function wrongBounded(
  world: World,
  want: Expected,
  progress: readonly TaskProgress[],
): string | null {
  const operator = operatorIn(world.case.flow);
  if (operator?.node.op !== "bounded") return null;
  const { node, isGrouped } = operator;
  const part = isGrouped ? GROUP_NODE : "main";
  const ledger = ledgerOfPart(progress, part);
  if (isGrouped)
    return wrongBehind(world, node, ledger, want.ledgers.get(part)?.counts["consumed"]);
  const [is, wanted] = [ledger.evicted?.[node.id] ?? 0, want.evicted.get(node.id) ?? 0];
  return is === wanted ? null : `${String(is)} made room, not ${String(wanted)}`;
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

function wrongBehind(
  { kafka, plan }: World,
  node: Node,
  ledger: LedgerCounts,
  wanted = 0,
): string | null {
  const { consumed = 0, emitted = 0 } = ledgerTotals(ledger);
  if (consumed !== wanted) return `${String(consumed)} records, not ${String(wanted)}`;
  const records = kafka.records(outputName(node.then[0] as Node), { committed: true });
  const windows = records.map(({ key, value }) => {
    const { g, n } = JSON.parse(String(value)) as Value;
    return { name: `${String(key)} ${g}`, n };
  });
  const twice = windows.find(({ name }, i) => windows.findIndex((one) => one.name === name) < i);
  if (twice !== undefined) return `${twice.name} comes twice`;
  const came = sumOf(windows.map(({ n }) => n));
  const open = sumOf(openIn(kafka.records(changelogName(node.id), { committed: true })));
  if (came + open !== emitted)
    return `${String(emitted)} records in windows: ${String(came)} came out, ${String(open)} are open`;
  const evicted = ledger.evicted?.[node.id] ?? 0;
  if (evicted > windows.length) return `${String(evicted)} of ${String(windows.length)} made room`;
  return wrongLetters({ kafka, plan }, node, ledger);
}

function wrongLetters(
  { kafka, plan }: Pick<World, "kafka" | "plan">,
  node: Node,
  ledger: LedgerCounts,
): string | null {
  const { "dead-lettered": dead = 0 } = ledgerTotals(ledger);
  const topic = repartitionName({ ...node, id: GROUP_NODE });
  const letters = kafka
    .records(plan.deadLetters, { committed: true })
    .filter(({ headers }) => headerText(headers, "dlq.topic") === topic);
  return letters.length === dead
    ? null
    : `${String(letters.length)} letters of ${String(dead)} records`;
}

/** The records of each key in windows that are open, by what was last written of it. */
function openIn(changes: ReturnType<World["kafka"]["records"]>): number[] {
  const codec = entryCodec(plainCodec, "any");
  const last = new Map(changes.map(({ key, value }) => [key?.toString("latin1") ?? "", value]));
  return [...last].map(([key, bytes]) =>
    bytes === null ? 0 : countIn(codec.decode(Buffer.from(key, "latin1"), bytes).value),
  );
}

/** A number, or the sessions of a key; of the end that was closed there is no value. */
function countIn(value: unknown): number {
  if (typeof value === "number") return value;
  if (value === null) return 0;
  const sessions = Array.isArray(value) ? value : (value as { sessions: unknown[] }).sessions;
  return sumOf((sessions as [number, number, number][]).map(([, , count]) => count));
}
