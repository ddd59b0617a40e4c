// Which records the brokers of a case refuse: a function of what they say and of the case's salt, so that the oracle can
// tell it for itself. Outputs whose content does not depend on how tasks interleave, keys of changelogs, whole letters.
import type { Reason } from "../../../src/engine/testing/memory-kafka/broker/refusals.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import type { FlowSpec, Node } from "./case.ts";
import { isHeld, outputName } from "./flow.ts";

const CODES = [
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_TIMESTAMP",
  "POLICY_VIOLATION",
  "INVALID_RECORD",
] as const;
const ONE_IN = 12;
/** Letters are fewer. */
const LETTERS_ONE_IN = 3;

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export const repartitionName = ({ id }: Node): string => `sim-${id}-repartition`;
export const changelogName = (store: string): string => `sim-${store}-changelog`;

/** The text is a value's JSON, "-" for a tombstone, or the key of a changelog's entry. */
export const isRefused = ({ salt }: FlowSpec, topic: string, text: string): boolean =>
  salt !== undefined && hashOf(`${String(salt)} ${topic} ${text}`) % ONE_IN === 0;

const STATEFUL = /^(state|reduce|aggregate|count|sum|min|max|avg)$/;

type Kind = "output" | "repartition" | "changelog" | "letter";

/** Topics of which records may be refused, each with what it is. */
function topicsOf({ roots, partitions, sources }: FlowSpec): Map<string, Kind> {
  const topics = new Map<string, Kind>([["sim-dead-letters", "letter"]]);
  const isShared = partitions > 1 || sources > 1;
  const visit = (node: Node, isOpen: boolean): void => {
    const { op, id } = node;
    if (STATEFUL.test(op)) topics.set(changelogName(id), "changelog");
    if (isOpen && op === "to") topics.set(outputName(node), "output");
    if (isOpen && op.startsWith("group")) topics.set(repartitionName(node), "repartition");
    const isFree = op === "group-shared" && isShared;
    for (const next of node.then) visit(next, isOpen && !isFree && !isHeld(node));
  };
  for (const root of roots) visit(root, true);
  return topics;
}

/** The brokers of a case; `onRefused` is told each time. */
export function brokersOf(
  flow: FlowSpec,
  onRefused: (kind: Kind, code: string) => void,
): (record: OutRecord) => Reason | null {
  if (flow.salt === undefined) return () => null;
  const topics = topicsOf(flow);
  return (record) => {
    const kind = topics.get(record.topic);
    if (kind === undefined) return null;
    const hash = hashOf(`${String(flow.salt)} ${record.topic} ${textOf(kind, record)}`);
    // A letter without a value is small already; of one with more in front of it the hash would say that too.
    const isSmall = kind === "letter" && record.value?.[0] !== 0x7b;
    if (isSmall || hash % (kind === "letter" ? LETTERS_ONE_IN : ONE_IN) !== 0) return null;
    const code = CODES[(hash >>> 8) % CODES.length] ?? CODES[0];
    onRefused(kind, code);
    return { code, words: null };
  };
}

const textOf = (kind: Kind, { key, value }: OutRecord): string => {
  if (kind === "changelog") return String(key);
  if (value === null) return "-";
  // The bytes that a topic of ours puts in front of a value say nothing of the record.
  const text = String(value);
  return text.slice(Math.max(0, text.indexOf("{")));
};
