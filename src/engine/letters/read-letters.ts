// Every letter of a pipeline up to now, as seen from one generation: also those that 0.1.0 has parked, one entry an id, with
// what became of it. A letter that failed again, or that a sink has sent twice, is one.
import type { BatchError } from "../core/errors.ts";
import type { AdminPort, KafkaPort } from "../core/kafka.ts";
import type { Plan } from "../core/plan.ts";
import { late } from "../core/late-topics.ts";
import type { TopicDefaults } from "../core/own-topics.ts";
import type { Clock } from "../core/ports.ts";
import { formerNames, readerOf } from "../core/pieces.ts";
import { readTopic } from "../core/read-range.ts";
import type { RawRecord } from "../core/record.ts";
import { stateKeyOf, statesIn, type SaidState } from "../core/redrive.ts";
import { letterId } from "./letter.ts";
import { lostNote } from "../notes/faults.ts";
import { lineageOf, type Lineage } from "../notes/generations.ts";
import { readNotes, type Notes } from "../notes/notes.ts";
import { factsOf, isAnew, originalOf, type FoundLetter, type LetterFacts } from "./found-letter.ts";
import { stateOf } from "./letter-state.ts";

export interface LetterPorts {
  readonly kafka: KafkaPort;
  readonly admin: AdminPort;
  readonly clock: Clock;
  readonly topicDefaults?: TopicDefaults;
  /** The states are known to be there: that they are missing would be an error, and not that nothing was ever said. */
  readonly hasStates?: boolean;
}

export interface Letters {
  /** By partition of their origin, then in the order of the records that failed. */
  readonly letters: readonly FoundLetter[];
  /** The other notes: the running job, audits. */
  readonly notes: Notes;
  /** The generations that the letters are seen from. */
  readonly lineage: Lineage;
  /** Records of letters of other generations: later ones, or of a promotion that was undone since. */
  readonly elsewhere: number;
  /** Records in the letters' topics that no task has written. */
  readonly foreign: number;
  /** Batches in these topics that nobody can read: no task has written them either. */
  readonly unread: readonly BatchError[];
}

type Keep = (letter: Omit<FoundLetter, "record">) => boolean;
const nothing: Keep = () => false;

/**
 * `keep` says whose record is kept in memory. States are read first, so that it can ask for them. `generation` is the one
 * that is looked from: the last one, unless it is said.
 */
export async function readLetters(
  plan: Plan,
  ports: LetterPorts,
  keep: Keep = nothing,
  generation?: number,
): Promise<Letters> {
  const lineage = lineageOf(plan, await readNotes(ports, plan.meta), generation);
  const notes = await readNotes(ports.hasStates === true ? ports : late(ports), plan.letterStates);
  const states = statesIn(notes);
  const statesOf = (id: string): readonly SaidState[] => states.get(id) ?? hiddenState(notes, id);
  const found = new Map<string, FoundLetter>();
  const unread: BatchError[] = [];
  let [foreign, elsewhere] = [0, 0];
  for await (const { raw, own } of written(plan, ports, (error) => unread.push(error))) {
    if (own === null) {
      foreign++;
      continue;
    }
    const facts = withPart(plan, own);
    if (!lineage.has(facts.generation)) elsewhere++;
    else if (isNewer(facts, found.get(facts.id), statesOf(facts.id)[0])) {
      const letter = seen(facts, statesOf(facts.id), lineage);
      const record = keep(letter) ? copied(originalOf(facts, raw)) : null;
      found.set(facts.id, { ...letter, record });
    }
  }
  const letters = [...found.values()].sort(byOrigin);
  return { letters, notes, lineage, foreign, elsewhere, unread };
}

/** Nothing is known of a letter whose states may be in a batch that nobody can read. */
function hiddenState(notes: Notes, id: string): readonly SaidState[] {
  const lost = lostNote(notes, stateKeyOf(id, 0));
  if (lost === null) return [];
  return [{ state: "unreadable", redrives: 0, atMs: 0, reason: lost.why, generation: 0 }];
}

/** With the newest state that was said of it in this line of generations. */
function seen(
  facts: LetterFacts,
  states: readonly SaidState[],
  lineage: Lineage,
): Omit<FoundLetter, "record"> {
  const { generation } = facts;
  const isItsOwn = (at: number): boolean => at >= generation && lineage.has(at);
  const said = states.findLast((one) => isItsOwn(one.generation));
  const state = stateOf(facts, said, lineage);
  const redrives = isAnew(facts, said) ? state.redrives : facts.redrives;
  return { ...facts, redrives, state, said: said ?? null };
}

/** Every record of the letters' topics; null for the facts of one that no task has written. */
async function* written(
  { deadLetters, parked }: Plan,
  ports: LetterPorts,
  onUnreadable: (error: BatchError) => void,
): AsyncGenerator<{ readonly raw: RawRecord; readonly own: LetterFacts | null }> {
  const options = { onUnreadable };
  for await (const raw of readTopic(deadLetters, ports, null, options))
    yield { raw, own: factsOf(raw) };
  for await (const raw of readTopic(parked, late(ports), null, options))
    yield { raw, own: factsOf(raw, true) };
}

/** The part's name of today. Letters of older releases do not name it, but their id does. */
function withPart(plan: Plan, facts: LetterFacts): LetterFacts {
  const { pipeline, parts } = plan;
  const isOf = (part: string): boolean => letterId({ pipeline, part }, facts.origin) === facts.id;
  const names = parts.flatMap((part) => [part.name, ...formerNames(part)]);
  const part = facts.part === "" ? (names.find(isOf) ?? "") : facts.part;
  return { ...facts, part: readerOf(plan, part, facts.origin.topic)?.name ?? part };
}

function isNewer(
  facts: LetterFacts,
  known: FoundLetter | undefined,
  said: SaidState | undefined,
): boolean {
  if (known === undefined) return true;
  if (facts.generation !== known.generation) return facts.generation > known.generation;
  const [is, was] = [isAnew(facts, said), isAnew(known, said)];
  return is === was ? facts.redrives >= known.redrives : is;
}

/** Without the rest of the fetch that it is a slice of. */
export const copied = (raw: RawRecord): RawRecord => ({
  ...raw,
  key: raw.key === null ? null : Buffer.from(raw.key),
  value: raw.value === null ? null : Buffer.from(raw.value),
  headers: raw.headers.map(([name, value]) => [name, value === null ? null : Buffer.from(value)]),
});

/** So that letters of one key go back in the order of their records. */
export function byOrigin(a: LetterFacts, b: LetterFacts): number {
  const [x, y] = [a.origin, b.origin];
  return (
    x.partition - y.partition ||
    compare(a.part, b.part) ||
    compare(x.topic, y.topic) ||
    compare(x.offset, y.offset)
  );
}

const compare = <T extends string | bigint>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);
