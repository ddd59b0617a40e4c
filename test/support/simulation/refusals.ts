// Which records the brokers of a case refuse: a function of what they say and of the case's salt, so that the oracle can
// tell it for itself. Outputs whose content does not depend on how tasks interleave, keys of changelogs, whole letters; and
// letters that are small already, for a while.
import { createHash } from "node:crypto";
import { headerText, type OutRecord } from "../../../src/engine/core/record.ts";
import { marksIn } from "../../../src/engine/core/time-headers.ts";
import type { FlowSpec, Node } from "./case.ts";
import { isHeld, outputName, tableName } from "./flow.ts";

/** The numbers of the protocol. */
export const CODES = {
  CORRUPT_MESSAGE: 2,
  MESSAGE_TOO_LARGE: 10,
  RECORD_LIST_TOO_LARGE: 18,
  INVALID_TIMESTAMP: 32,
  POLICY_VIOLATION: 44,
  INVALID_RECORD: 87,
} as const;
export type Code = keyof typeof CODES;
const NAMES = Object.keys(CODES) as Code[];
/** A false checksum is refused when it is there this often. */
const TRIES_OF_A_CHECKSUM = 3;

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export const repartitionName = ({ id }: Node): string => `sim-${id}-repartition`;
export const changelogName = (store: string): string => `sim-${store}-changelog`;
export const sinkName = (table: string): string => `sim-${table}-sink`;

/** The text is a value's JSON, "-" for a tombstone, or the key of a changelog's entry. */
export const isRefused = ({ salt }: FlowSpec, topic: string, text: string): boolean =>
  salt !== undefined && hashOf(`${String(salt)} ${topic} ${text}`) % OUTPUTS_ONE_IN === 0;

const STATEFUL = /^(state|reduce|aggregate|count|sum|min|max|avg)$/;
const LETTERS = "sim-dead-letters";

type TopicKind = "output" | "repartition" | "sink" | "changelog" | "letter";
/** small: pointer and hash, of a letter that was refused as a whole. */
export type Kind = TopicKind | "outbox letter" | "small letter" | "small outbox letter";

const OUTPUTS_ONE_IN = 12;
/** Letters are fewer, and small ones fewer still. */
const ONE_IN: Readonly<Record<Kind, number>> = {
  output: OUTPUTS_ONE_IN,
  repartition: OUTPUTS_ONE_IN,
  sink: OUTPUTS_ONE_IN,
  changelog: OUTPUTS_ONE_IN,
  letter: 3,
  "outbox letter": 2,
  "small letter": 4,
  "small outbox letter": 1,
};

export interface Refusal {
  readonly kind: Kind;
  readonly code: Code;
}

/** As brokers count them, with every code. */
export const REFUSALS: readonly string[] = Object.keys(ONE_IN).flatMap((kind) =>
  NAMES.map((code) => refusalName({ kind: kind as Kind, code })),
);
export function refusalName({ kind, code }: Refusal): string {
  return `refused ${kind}: ${code}`;
}

const isOwn = (node: Node, { partitions, sources }: FlowSpec): boolean =>
  node.op !== "group-shared" || (partitions === 1 && sources === 1);

/** What a step writes to, beside the changelog of its state. */
function writtenBy(node: Node): readonly [topic: string, kind: TopicKind] | null {
  if (node.op === "to") return [outputName(node), "output"];
  if (node.op === "table") return [sinkName(tableName(node)), "sink"];
  return node.op.startsWith("group") ? [repartitionName(node), "repartition"] : null;
}

/** Topics of which records may be refused, each with what it is. */
function topicsOf(flow: FlowSpec): Map<string, TopicKind> {
  const topics = new Map<string, TopicKind>([[LETTERS, "letter"]]);
  const visit = (node: Node, isOpen: boolean): void => {
    if (STATEFUL.test(node.op)) topics.set(changelogName(node.id), "changelog");
    const written = isOpen ? writtenBy(node) : null;
    if (written !== null) topics.set(...written);
    for (const next of node.then) visit(next, isOpen && isOwn(node, flow) && !isHeld(node));
  };
  for (const root of [...flow.roots, ...(flow.apart ?? [])]) visit(root, true);
  return topics;
}

export const tablesOf = ({ roots, direct }: FlowSpec): Set<string> => {
  const tables = new Set<string>();
  const visit = (node: Node): void => {
    if (node.op === "table") tables.add(tableName(node));
    node.then.forEach(visit);
  };
  [...roots, ...(direct ?? [])].forEach(visit);
  return tables;
};

/** The policy of a case's brokers; it remembers nothing but how often it has refused small letters. */
export class Policy {
  readonly #salt: number;
  readonly #topics: ReadonlyMap<string, TopicKind>;
  readonly #tables: ReadonlySet<string>;
  readonly #tries = new Map<string, number>();
  /** What was taken into a topic between parts, by the hash of its bytes: a small letter tells no more. */
  readonly texts = new Map<string, string>();

  constructor(flow: FlowSpec, salt: number) {
    this.#salt = salt;
    this.#topics = topicsOf(flow);
    this.#tables = tablesOf(flow);
  }

  /** Older brokers name no record, and none names one whose batch has a false checksum. */
  names(code: Code): boolean {
    return this.#salt % 2 === 0 && (code === "INVALID_TIMESTAMP" || code === "INVALID_RECORD");
  }

  /** Null for a record that is taken. */
  refusalOf(record: OutRecord): Refusal | null {
    const topic = this.#topics.get(record.topic);
    // A marker is of the engine's own making: nothing in it may be refused.
    if (topic === undefined || marksIn(record) !== null) return null;
    const kind = topic === "letter" ? this.#letterKind(record) : topic;
    const isSmall = kind.startsWith("small");
    const text = isSmall ? idOf(record) : textOf(topic, record);
    const hash = hashOf(`${String(this.#salt)} ${record.topic} ${text}`);
    if (hash % ONE_IN[kind] !== 0) return null;
    const code = NAMES[(hash >>> 8) % NAMES.length] ?? "INVALID_RECORD";
    return isSmall && this.#isOver(text, code) ? null : { kind, code };
  }

  /** The record was alone, or named. */
  refused(record: OutRecord, { kind }: Refusal): void {
    if (!kind.startsWith("small")) return;
    const id = idOf(record);
    this.#tries.set(id, (this.#tries.get(id) ?? 0) + 1);
  }

  taken({ topic, value }: OutRecord): void {
    if (value === null || !/-(repartition|sink)$/.test(topic)) return;
    this.texts.set(createHash("sha256").update(value).digest("hex"), jsonOf(value));
  }

  /** A small letter is refused once. */
  #isOver(id: string, code: Code): boolean {
    return (this.#tries.get(id) ?? 0) >= (code === "CORRUPT_MESSAGE" ? TRIES_OF_A_CHECKSUM : 1);
  }

  #letterKind({ headers }: OutRecord): Kind {
    const isSmall = headerText(headers, "dlq.pointer") !== null;
    const isOutbox = this.#tables.has(headerText(headers, "dlq.part") ?? "");
    const kind = isOutbox ? "outbox letter" : "letter";
    return isSmall ? `small ${kind}` : kind;
  }
}

const idOf = ({ headers }: OutRecord): string => headerText(headers, "dlq.id") ?? "";

/** The bytes that a topic of ours puts in front of a value say nothing of the record. */
function jsonOf(value: Buffer): string {
  const text = String(value);
  return text.slice(Math.max(0, text.indexOf("{")));
}

const textOf = (kind: TopicKind, { key, value }: OutRecord): string => {
  if (kind === "changelog") return String(key);
  return value === null ? "-" : jsonOf(value);
};
