// Letters when a run takes the live pipeline's place, and when it gives it back: each begins a generation. The run has read
// the records of live's letters itself, as far as they lie in its range, so those letters are over; each record that it
// refused becomes a letter of live in the new generation. An undo goes back to the generation before. Each may be done twice.
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
import { nullable, parseKnown } from "../../core/foreign.ts";
import {
  letterHeaders,
  letterStateCheck,
  originalHeaders,
  stateRecord,
  type LetterState,
} from "../../core/redrive.ts";
import type { TxProducer } from "../../core/kafka.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { factsOf, type LetterFacts } from "../../letters/found-letter.ts";
import { beginGeneration, openWithin } from "../../letters/commands/generation.ts";
import { asOperator, BatchWriter } from "../../letters/commands/operator.ts";
import { readLetters } from "../../letters/read-letters.ts";
import { requireNote } from "../../notes/faults.ts";
import { generationsIn, type Reading } from "../../notes/generations.ts";
import { noteRecord, readNotes } from "../../notes/notes.ts";
import { letterId } from "../../letters/letter.ts";
import { counterpartOf } from "../plan/shadow.ts";
import type { RangePlace } from "../words/run.ts";
import type { LivePosition } from "../words/steps.ts";

/** The offset at which a task of live was stopped. */
type HandOver = Pick<LivePosition, "part" | "topic" | "partition" | "nextOffset" | "isForeign">;

export interface Succession {
  /** The plan of the live pipeline. */
  readonly plan: Plan;
  readonly shadow: Plan;
  readonly run: number;
  /** The ranges that the run has read. */
  readonly places: readonly RangePlace[];
  readonly positions: readonly HandOver[];
}

export interface LetterCounts {
  /** Letters of live whose records the run has taken. */
  readonly over: number;
  /** Letters of the run, which are live's now. */
  readonly refused: number;
}

export function takeOverLetters(
  succession: Succession,
  ports: OperatePorts,
): Promise<LetterCounts> {
  const { plan, shadow, run } = succession;
  const takeOver = async (producer: TxProducer, made: OperatePorts): Promise<LetterCounts> => {
    const partitions = (await ports.admin.watermarks(plan.deadLetters)).length;
    const readings = readingsOf(succession);
    const given = { why: "promote", run, readings, hasOtherStores: true } as const;
    const generation = await beginGeneration(plan, given, producer, ports);
    const { number, parent } = generation;
    const { letters } = await readLetters(plan, made, undefined, parent);
    const known = new Map(letters.map((letter) => [letter.id, letter]));
    // A letter written under an earlier name of its part has another id than it would have today.
    const own = letters.filter(({ readIn }) => readIn === null);
    const ids = new Map(own.map((letter) => [placeOf(letter), letter.id]));
    const writing = new BatchWriter(producer);
    const refused = new Set<string>();
    for await (const raw of readTopic(shadow.deadLetters, ports)) {
      const successor = successorOf(raw, plan, shadow, ids);
      if (successor === null || refused.has(successor.id)) continue;
      refused.add(successor.id);
      const letter = letterRecord(successor, { topic: plan.deadLetters, partitions, number });
      const state = known.get(successor.id)?.state;
      const said = { id: successor.id, generation: number };
      // A letter that an operator gave up stays so.
      const kept = state?.state === "discarded" ? { ...state, redrives: 0 } : null;
      const states = kept === null ? [] : [stateRecord(plan.letterStates, said, kept)];
      await writing.add(letter, ...states);
    }
    await writing.end();
    const before = generationsIn(plan, await readNotes(ports, plan.meta)).slice(0, number);
    const taken = letters.filter(({ id }) => !refused.has(id));
    return { over: openWithin(plan, taken, before), refused: refused.size };
  };
  return asOperator(plan, ports, takeOver, [shadow.deadLetters]);
}

/**
 * Live goes on from the beginning of the run's ranges, as the run has read them. The records of its own topics are made
 * again where the run has read all that there ever was.
 */
function readingsOf({ plan, places, positions }: Succession): readonly Reading[] {
  const ranges = new Map(places.map((place) => [taskKey(place), place.from]));
  const isWhole =
    places.every(({ from }) => from === 0n) &&
    plan.topics.input.every(({ name }) => places.some(({ topic }) => topic === name));
  return positions.map(({ part, topic, partition, nextOffset: stopped, isForeign }) => {
    // mistake: range off by one
    const from = (isForeign ? ranges.get(taskKey({ part, topic, partition })) : null) ?? stopped;
    return { part, topic, partition, from, stopped, isMade: !isForeign && isWhole };
  });
}

/** Live reads on from where it was stopped, and what was said of letters before is so again. */
export function giveBackLetters(
  { plan, run, positions }: Pick<Succession, "plan" | "run" | "positions">,
  ports: OperatePorts,
): Promise<void> {
  return asOperator(plan, ports, async (producer, made) => {
    const readings = positions.map(({ part, topic, partition, nextOffset: stopped }) => {
      return { part, topic, partition, from: stopped, stopped };
    });
    const given = { why: "undo", run, readings, hasOtherStores: false } as const;
    const { number } = await beginGeneration(plan, given, producer, ports);
    await giveBackNoted(plan, { run, number }, producer, made);
  });
}

/**
 * A promotion by release 0.1.0 began no generation: it noted the state of each letter from before, under this key, and said
 * another one.
 */
const keyOf = (run: number, id: string): string => `promoted-r${String(run)}/${id}`;

async function giveBackNoted(
  plan: Plan,
  { run, number }: { readonly run: number; readonly number: number },
  producer: TxProducer,
  ports: OperatePorts,
): Promise<void> {
  const { letters, notes } = await readLetters(plan, ports);
  const writing = new BatchWriter(producer);
  const reason = `run ${String(run)}, which alone refused it, has given the place back`;
  const none = { state: "discarded", reason, passed: true, atMs: ports.clock.now() } as const;
  for (const { id, redrives } of letters) {
    requireNote(plan, notes, keyOf(run, id));
    const text = notes.get(keyOf(run, id));
    if (text === undefined) continue;
    const before = parseKnown<LetterState | null>(text, nullable(letterStateCheck));
    const state = { ...(before ?? none), redrives };
    const said = stateRecord(plan.letterStates, { id, generation: number }, state);
    await writing.add(said, noteRecord(plan.letterStates, keyOf(run, id), null));
  }
  await writing.end();
}

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
  const { origin, part, result } = facts;
  const isExternal = topic === origin.topic && result === null;
  const known = isExternal ? ids.get(placeOf(facts)) : undefined;
  const entry = result?.entry ?? null;
  const id = known ?? letterId({ pipeline, part }, entry === null ? origin : { ...origin, entry });
  return { id, facts, raw, names: { "dlq.id": id, "dlq.pipeline": pipeline, "dlq.topic": topic } };
}

/** As a letter of live in the generation. */
function letterRecord(
  { raw, names, facts }: Successor,
  {
    topic,
    partitions,
    number,
  }: { readonly topic: TopicName; readonly partitions: number; readonly number: number },
): OutRecord {
  const { key, value, timestamp } = raw;
  const partition = facts.origin.partition % partitions;
  const given: Readonly<Record<string, string>> = names;
  const own = letterHeaders(raw.headers).map(([name, bytes]): Headers[number] => {
    const text = given[name];
    return [name, text === undefined ? bytes : Buffer.from(text)];
  });
  const isElsewhere = facts.origin.topic !== names["dlq.topic"];
  const place: Headers = isElsewhere ? [["dlq.read-in", Buffer.from(facts.origin.topic)]] : [];
  const generation: Headers = [["dlq.generation", Buffer.from(String(number))]];
  const headers = [...originalHeaders(raw.headers), ...own, ...place, ...generation];
  return { topic, partition, key, value, headers, timestamp };
}
