// Letters whose records are read again in place, since progress was put back behind them: they are over, as a
// redrive would bring each a second time. A record that fails again is a new letter, whatever the old one's state. And
// letters that were over for that, when progress is put beyond them before they were read: they are open again.
import type { Watermarks } from "../../core/kafka.ts";
import type { Plan } from "../../core/plan.ts";
import { taskKey, type TaskAt, type TopicName } from "../../core/record.ts";
import { stateRecord, type LetterState } from "../../core/redrive.ts";
import type { FoundLetter } from "../found-letter.ts";
import { asOperator, BatchWriter } from "./operator.ts";
import { readLetters, type LetterPorts } from "../read-letters.ts";

/** Records that a part reads again, from an offset to the end. */
export interface Stretch extends TaskAt {
  readonly from: bigint;
  /** The topic has other records now, and the letters are all that is left of the old ones: open letters stay. */
  readonly isOther?: boolean;
  /** Not read again itself, but made again from records that are. */
  readonly isMade?: boolean;
}

/** Records that a part will not read. */
export interface SkippedRange extends TaskAt {
  readonly from: bigint;
  readonly to: bigint;
}

export interface Reading {
  readonly stretches: readonly Stretch[];
  readonly skips: readonly SkippedRange[];
  readonly reason: string;
  /** The watermarks of the dead-letter topic, before anybody can have read anything again. */
  readonly marks: readonly Watermarks[];
}

/** The number of open letters that are over when these records are read again. */
export async function openWithin(
  plan: Plan,
  stretches: readonly Stretch[],
  ports: LetterPorts,
): Promise<number> {
  const { letters } = await readLetters(plan, ports);
  const stretchOf = within(stretches);
  const isOpen = ({ state }: FoundLetter): boolean => state.state === "open";
  return letters.filter((letter) => isOpen(letter) && isOver(letter, stretchOf(letter))).length;
}

/** Returns how many were open and are over. May be done twice. */
export function readAgain(plan: Plan, reading: Reading, ports: LetterPorts): Promise<number> {
  const { marks, stretches } = reading;
  const ends = new Map(marks.map(({ partition, high }) => [partition, String(high)]));
  return asOperator(plan, ports, async (producer, made) => {
    const { letters } = await readLetters(plan, made);
    const deciding = {
      ...{ reading, redrive: plan.redrive, atMs: ports.clock.now(), stretchOf: within(stretches) },
      // The partition of a letter is that of its record, as far as there are as many.
      endOf: ({ origin }: FoundLetter) => ends.get(origin.partition % marks.length) ?? "0",
    };
    const writing = new BatchWriter(producer);
    let over = 0;
    for (const letter of letters) {
      const state = stateAfter(letter, deciding);
      if (state === null) continue;
      await writing.add(stateRecord(plan.letterStates, letter.id, state));
      if (letter.state.state !== state.state && state.state === "discarded") over++;
    }
    await writing.end();
    return over;
  });
}

interface Deciding {
  readonly reading: Reading;
  readonly redrive: TopicName;
  readonly atMs: number;
  stretchOf(letter: FoundLetter): Stretch | undefined;
  endOf(letter: FoundLetter): string;
}

/** Null where nothing changes. */
function stateAfter(letter: FoundLetter, deciding: Deciding): LetterState | null {
  const { reading, redrive, atMs } = deciding;
  const { redrives, code: outcome, state } = letter;
  const isBack = isOnItsWay(state);
  const isStranded = isBack && reading.skips.some((skip) => isSkippedIn(letter, skip, redrive));
  if (isBack && !isStranded) return null;
  const stretch = deciding.stretchOf(letter);
  const open = { state: "open", redrives, outcome, atMs } as const;
  if (stretch === undefined) return isStranded || isSkipped(letter, reading.skips) ? open : null;
  const before = deciding.endOf(letter);
  if (!isStranded && isSettled(state)) return { ...state, before };
  if (!isOver(letter, stretch)) return { ...open, lost: true, before };
  const { reason } = reading;
  return { state: "discarded", redrives, reason, passed: true, atMs, before };
}

/** A queued record has left the redrive topic: what becomes of its store becomes of it. */
const isOnItsWay = ({ state, queued }: LetterState): boolean =>
  state === "redriven" && queued !== true;
const isSettled = ({ state, queued }: LetterState): boolean => state !== "open" && queued !== true;

const isOver = ({ state }: FoundLetter, stretch: Stretch | undefined): boolean =>
  stretch !== undefined && state.lost !== true && stretch.isOther !== true;

/** A run's letter has no place of its own in a topic of live's. */
function within(stretches: readonly Stretch[]): (letter: FoundLetter) => Stretch | undefined {
  const at = new Map(stretches.map((stretch) => [taskKey(stretch), stretch]));
  return ({ part, origin, readIn }) => {
    const stretch = at.get(taskKey({ ...origin, part }));
    if (stretch === undefined || stretch.isMade === true) return stretch;
    return origin.offset >= stretch.from && readIn === null ? stretch : undefined;
  };
}

/** It was over since it was to be read again, which does not come now. */
const isSkipped = ({ part, origin, state }: FoundLetter, skips: readonly SkippedRange[]): boolean =>
  state.state === "discarded" &&
  state.passed === true &&
  state.before !== undefined &&
  skips.some(
    (skip) =>
      taskKey(skip) === taskKey({ ...origin, part }) &&
      origin.offset >= skip.from &&
      origin.offset < skip.to,
  );

/** In the redrive topic, in what is passed over. */
const isSkippedIn = (
  { part, origin }: FoundLetter,
  skip: SkippedRange,
  redrive: TopicName,
): boolean => skip.topic === redrive && skip.part === part && skip.partition === origin.partition;
