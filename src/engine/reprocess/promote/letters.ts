// Letters when a run takes the live pipeline's place, and when it gives it back. The run has read the records of all of
// live's letters itself, and a redrive would count them twice: those that it has taken are over. A letter of a record
// that it refused too stays open. A record that it alone refused becomes a letter of live. Each may be done twice.
import type { TxProducer } from "../../core/kafka.ts";
import type { Plan } from "../../core/plan.ts";
import { readTopic } from "../../core/read-range.ts";
import {
  addressOf,
  taskKey,
  type Headers,
  type OutRecord,
  type RawRecord,
  type TopicName,
} from "../../core/record.ts";
import {
  letterHeaders,
  originalHeaders,
  stateRecord,
  type LetterState,
} from "../../core/redrive.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { factsOf, type FoundLetter, type LetterFacts } from "../../letters/found-letter.ts";
import { asOperator, BatchWriter } from "../../letters/commands/operator.ts";
import { readLetters } from "../../letters/read-letters.ts";
import { noteRecord } from "../../notes/notes.ts";
import { letterId } from "../../letters/letter.ts";
import { counterpartOf } from "../plan/shadow.ts";
import type { RangePlace } from "../words/run.ts";

export interface Succession {
  /** The plan of the live pipeline. */
  readonly plan: Plan;
  readonly shadow: Plan;
  readonly run: number;
  /** The ranges that the run has read. */
  readonly places: readonly RangePlace[];
}

export interface LetterCounts {
  /** Letters of live whose records the run has taken. */
  readonly over: number;
  /** Letters of the run, which are live's now. */
  readonly refused: number;
}

export function takeOverLetters(
  { plan, shadow, run, places }: Succession,
  ports: OperatePorts,
): Promise<LetterCounts> {
  const takeOver = async (producer: TxProducer, made: OperatePorts): Promise<LetterCounts> => {
    const partitions = (await ports.admin.watermarks(plan.deadLetters)).length;
    const { letters, notes } = await readLetters(plan, made);
    const known = new Map(letters.map((letter) => [letter.id, letter]));
    // A letter written under an earlier name of its part has another id than it would have today.
    const own = letters.filter(({ readIn }) => readIn === null);
    const ids = new Map(own.map((letter) => [placeOf(letter), letter.id]));
    const writing = new BatchWriter(producer);
    const atMs = ports.clock.now();
    /** Notes the state from before the promotion, once: a second try keeps the note of the first. */
    const memory = (id: string): readonly OutRecord[] => {
      const key = keyOf(run, id);
      const text = JSON.stringify(known.get(id)?.state ?? null, ofAll);
      return notes.has(key) ? [] : [noteRecord(plan.letterStates, key, text)];
    };
    const refused = new Set<string>();
    for await (const raw of readTopic(shadow.deadLetters, ports)) {
      const successor = successorOf(raw, plan, shadow, ids);
      if (successor === null || refused.has(successor.id)) continue;
      refused.add(successor.id);
      const records = recordsFor(successor, known.get(successor.id), plan, partitions, atMs);
      if (records.length > 0) await writing.add(...records, ...memory(successor.id));
    }
    const hasRead = readingOf(plan, places);
    const over = letters.filter(
      (letter) => letter.state.state === "open" && !refused.has(letter.id) && hasRead(letter),
    );
    const reason = `run ${String(run)} has taken its record`;
    for (const { id, redrives } of over) {
      const state = { state: "discarded", redrives, reason, passed: true, atMs } as const;
      await writing.add(stateRecord(plan.letterStates, id, state), ...memory(id));
    }
    await writing.end();
    return { over: over.length, refused: refused.size };
  };
  return asOperator(plan, ports, takeOver, [shadow.deadLetters]);
}

/**
 * Whether the run has read a letter's record: by its place, or behind a topic of live's own, whose places say nothing of the
 * run, if the run has read all that there ever was.
 */
function readingOf(plan: Plan, places: readonly RangePlace[]): (letter: FoundLetter) => boolean {
  const ranges = new Map(places.map((place) => [taskKey(place), place]));
  const foreign = plan.topics.input.map(({ name }) => name);
  const isWhole =
    places.every(({ from }) => from === 0n) &&
    foreign.every((name) => places.some(({ topic }) => topic === name));
  return ({ part, origin, state }) => {
    if (state.lost === true) return false;
    if (!foreign.includes(origin.topic)) return isWhole;
    const range = ranges.get(taskKey({ ...origin, part }));
    return range !== undefined && origin.offset >= range.from && origin.offset < range.to;
  };
}

/** Every letter gets back its state from before the promotion, whatever happened to it since. */
export function giveBackLetters(plan: Plan, run: number, ports: OperatePorts): Promise<void> {
  return asOperator(plan, ports, async (producer, made) => {
    const { letters, notes } = await readLetters(plan, made);
    const writing = new BatchWriter(producer);
    const reason = `run ${String(run)}, which alone refused it, has given the place back`;
    const atMs = ports.clock.now();
    const none = { state: "discarded", reason, passed: true, atMs } as const;
    for (const { id, redrives } of letters) {
      const text = notes.get(keyOf(run, id));
      if (text === undefined) continue;
      const state = { ...((JSON.parse(text) as LetterState | null) ?? none), redrives };
      const gone = noteRecord(plan.letterStates, keyOf(run, id), null);
      await writing.add(stateRecord(plan.letterStates, id, state), gone);
    }
    await writing.end();
  });
}

/** Drops `before`: the noted state is for letters at any offset, also those that the promotion has appended. */
const ofAll = (name: string, value: unknown): unknown => (name === "before" ? undefined : value);

const keyOf = (run: number, id: string): string => `promoted-r${String(run)}/${id}`;

/** The place of a record as its part reads it. */
const placeOf = ({ part, origin }: Pick<LetterFacts, "part" | "origin">): string =>
  `${part}/${addressOf(origin)}/${String(origin.offset)}`;

/** A letter of the run under live's names. */
interface Successor {
  readonly id: string;
  readonly facts: LetterFacts;
  readonly raw: RawRecord;
  readonly names: Readonly<Record<string, string>>;
}

/**
 * Returns null when the record is no letter, or its topic is none of live's. An external topic is read by both, so the
 * letter is the one that live has of the record, if it has one. A place in a topic of the run's own is no place in
 * live's, and the id says so.
 */
function successorOf(
  raw: RawRecord,
  plan: Plan,
  shadow: Plan,
  ids: ReadonlyMap<string, string>,
): Successor | null {
  const facts = factsOf(raw, false);
  const topic = facts === null ? null : counterpartOf(shadow, plan, facts.origin.topic);
  if (facts === null || topic === null) return null;
  const { pipeline } = plan;
  const known = topic === facts.origin.topic ? ids.get(placeOf(facts)) : undefined;
  const id = known ?? letterId({ pipeline, part: facts.part }, facts.origin);
  return { id, facts, raw, names: { "dlq.id": id, "dlq.pipeline": pipeline, "dlq.topic": topic } };
}

/** The records to write for a letter, by live's state of it. `partitions` are those of live's dead-letter topic. */
function recordsFor(
  successor: Successor,
  known: FoundLetter | undefined,
  plan: Plan,
  partitions: number,
  atMs: number,
): readonly OutRecord[] {
  const { redrives, isParked: parked, state: said } = known ?? noLetter;
  // A letter that an operator gave up stays so.
  if (said?.state === "discarded" && said.passed !== true) return [];
  const own = letterRecord(successor, redrives, plan.deadLetters, partitions);
  const letter = parked ? { ...own, headers: [...own.headers, PARKED] } : own;
  if (said?.state === "open") return [letter];
  const { code: outcome } = successor.facts;
  const state = { state: "open", redrives, outcome, parked, atMs } as const;
  return [letter, stateRecord(plan.letterStates, successor.id, state)];
}

const PARKED: Headers[number] = ["dlq.parked", Buffer.from("true")];
const noLetter = { redrives: 0, isParked: false, state: null };

function letterRecord(
  { raw, names, facts }: Successor,
  redrives: number,
  topic: TopicName,
  partitions: number,
): OutRecord {
  const { key, value, timestamp } = raw;
  const partition = facts.origin.partition % partitions;
  const given: Readonly<Record<string, string>> = { ...names, "dlq.redrives": String(redrives) };
  const own = letterHeaders(raw.headers).map(([name, bytes]): Headers[number] => {
    const text = given[name];
    return [name, text === undefined ? bytes : Buffer.from(text)];
  });
  const isElsewhere = facts.origin.topic !== names["dlq.topic"];
  const place: Headers = isElsewhere ? [["dlq.read-in", Buffer.from(facts.origin.topic)]] : [];
  const headers = [...originalHeaders(raw.headers), ...own, ...place];
  return { topic, partition, key, value, headers, timestamp };
}
