// Dead letters and what was said of them: an operator sees each of them, or that somebody else has written it; and what can
// be seen can go back.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Failure } from "../../../src/engine/core/outcome.ts";
import type { Headers, OutRecord, RawRecord } from "../../../src/engine/core/record.ts";
import { redriveHeaders, redriveOrderOf, stateRecord } from "../../../src/engine/core/redrive.ts";
import { factsJson } from "../../../src/cli/dlq/letter-view.ts";
import { groupsOf } from "../../../src/engine/letters/filter.ts";
import { factsOf, type FoundLetter } from "../../../src/engine/letters/found-letter.ts";
import { letterOf, type LetterOrigin } from "../../../src/engine/letters/letter.ts";
import { reduced } from "../../../src/engine/letters/letter-size.ts";
import { recordOf } from "../../../src/engine/letters/pointer.ts";
import { readLetters } from "../../../src/engine/letters/read-letters.ts";
import {
  auditRecord,
  auditsIn,
  jobIn,
  jobRecord,
} from "../../../src/engine/letters/commands/operator.ts";
import { refusalOf } from "../../../src/engine/letters/commands/redrive.ts";
import { generationRecord } from "../../../src/engine/notes/generations.ts";
import { jsonText } from "../../../src/data/json-text.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBeSame, type AnyKind, type Verdict } from "../kind.ts";
import { mutatedOrNull } from "../mutate/bytes.ts";
import { oddNumbers } from "../mutate/words.ts";
import { headersChanged, logOf, noteChanged, portsOf, stampOf, type Logs } from "./log.ts";
import { plan } from "./notes.ts";

const origin: LetterOrigin = {
  ...{ pipeline: plan.pipeline, part: "main", version: "0123456789ab", topic: plan.deadLetters },
  ...{ partitions: 2, bytesMax: 1_000_000, states: plan.letterStates, generation: 0 },
};
const failure: Failure = {
  ...{ class: "rule", stage: "transform", step: "fits", rule: "fits", code: "MILL_RULE_BROKEN" },
  message: "a rule of the pipeline does not hold",
};
const source = (offset: bigint): RawRecord => ({
  ...{ topic: "in", partition: 1, offset, timestamp: 1_000, key: Buffer.from("k1") },
  ...{ value: Buffer.from(`{"id":"k1","n":5}`), headers: [["trace", Buffer.from("1")]] },
});
const order = {
  ...{ id: "0".repeat(32), part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "j" },
  origin: { topic: "in", partition: 1, offset: 4n, timestamp: 1_000 },
};
const back: RawRecord = {
  ...source(9n),
  redriven: {
    topic: plan.redrive,
    offset: 3n,
    order: { ...order, generation: 1, readIn: "flow-r2-in" },
  },
};

interface Stored {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
}
const fromBase64 = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, "base64");

/** Records of 0.1.0: letters, parked letters, states. */
const former = readFileSync(
  join(import.meta.dirname, "../../scenario/letters-0.1.0.ndjson"),
  "utf8",
)
  .trim()
  .split("\n")
  .flatMap((line) => (JSON.parse(line) as { records: readonly Stored[] }).records)
  .map((one) => ({
    topic: one.topic,
    ...{ key: fromBase64(one.key), value: fromBase64(one.value), timestamp: 0 },
    headers: one.headers.map(([name, value]) => [name, fromBase64(value)] as const),
  }));

type Known = Pick<OutRecord, "key" | "value" | "headers">;
const letters: readonly Known[] = [
  letterOf(source(4n), failure, origin, 1_767_225_600_000),
  letterOf(back, failure, { ...origin, generation: 2 }, 1_767_225_600_000),
  ...oddNumbers.map((timestamp) =>
    letterOf({ ...source(6n), timestamp: stampOf(timestamp) }, failure, origin, 5),
  ),
  letterOf({ ...source(5n), value: Buffer.alloc(5_000) }, failure, { ...origin, bytesMax: 900 }, 5),
  ...former.filter(({ topic }) => !topic.endsWith("-states")),
];
for (const letter of letters)
  must(factsOf({ ...source(0n), ...letter }) !== null, "a letter of ours is taken for another's");
const said = { state: "open", redrives: 0, atMs: 5, outcome: "x", parked: true } as const;
const redriven = { state: "redriven", redrives: 1, atMs: 5, job: "j", seal: "ab" } as const;
const idOf = ({ headers }: { readonly headers: Headers }): string =>
  String(headers.findLast(([name]) => name === "dlq.id")?.[1]);
const states: readonly Known[] = [
  ...letters.flatMap((letter) => [
    stateRecord(plan.letterStates, { id: idOf(letter), generation: 0 }, said),
    stateRecord(plan.letterStates, { id: idOf(letter), generation: 2 }, redriven),
  ]),
  ...former.filter(({ topic }) => topic.endsWith("-states")),
  jobRecord(plan, { job: "j", state: "running", chosen: 5, sent: 1, startedMs: 1, atMs: 2 }),
  auditRecord(plan, { atMs: 1, who: "me", command: "dlq show", letters: 3, reason: "r" }, "abc"),
];
const generations: readonly Known[] = [1, 2].map((number) =>
  generationRecord(plan.meta, {
    ...{ number, parent: number - 1, why: "reset", run: null, atMs: 9, isUnfinished: false },
    ...{ hasOtherStores: number === 1 },
    readings: [{ part: "main", topic: "in", partition: 1, from: 2n, stopped: 7n }],
  }),
);

const letterChanged = (draw: Draw, letter: Known): Known => ({
  key: draw.chance(0.1) ? mutatedOrNull(draw, letter.key) : letter.key,
  value: draw.chance(0.1) ? mutatedOrNull(draw, letter.value) : letter.value,
  headers: headersChanged(draw, letter.headers),
});

const stamped = (record: Known): Known & { readonly timestamp: number; readonly partition: 0 } => ({
  ...record,
  ...{ timestamp: 5, partition: 0 },
});

/** Seldom, what was said of one letter in very many generations, the last first. */
function manyStates(draw: Draw): ReturnType<typeof stamped>[] {
  if (!draw.chance(0.003)) return [];
  return Array.from({ length: 20_000 }, (_, i) =>
    stamped(stateRecord(plan.letterStates, { id: "x", generation: 20_000 - i }, said)),
  );
}

function make(draw: Draw): Logs {
  const drawn = (
    topic: string,
    from: readonly Known[],
    change: typeof letterChanged,
  ): RawRecord[] => {
    const all = draw.list(0, 6, () => {
      const one = draw.of(from);
      return stamped(draw.chance(0.3) ? one : change(draw, one));
    });
    return logOf(topic, [...all, ...(topic === plan.letterStates ? manyStates(draw) : [])]);
  };
  return new Map([
    [plan.deadLetters, drawn(plan.deadLetters, letters, letterChanged)],
    [plan.parked, drawn(plan.parked, letters, letterChanged)],
    [plan.letterStates, drawn(plan.letterStates, states, noteChanged)],
    [plan.meta, draw.chance(0.5) ? logOf(plan.meta, generations.map(stamped)) : []],
    ["in", logOf("in", [stamped(source(0n)), stamped(source(1n))])],
  ]);
}

async function read(logs: Logs): Promise<Verdict> {
  const ports = { ...portsOf(logs), clock: { now: () => 0 } } as never;
  const found = await readLetters(plan, ports, () => true);
  groupsOf(found.letters);
  jobIn(found.notes);
  auditsIn(found.notes);
  for (const letter of found.letters) {
    jsonText(factsJson(letter));
    await recordOf(plan, letter, ports);
    if (letter.record !== null) reduced(letter.record);
    if (refusalOf(plan, letter) === null) goesBack(letter);
  }
  return found.letters.length > 0 ? "taken" : "refused";
}

/** A worker takes the order that a redrive of the letter writes. */
function goesBack({
  id,
  part,
  origin: from,
  redrives,
  firstTime,
  readIn,
  record,
}: FoundLetter): void {
  const { generation, ...rest } = { ...order, generation: 7 };
  const given = {
    ...{ ...rest, id, part, origin: from, redrives: redrives + 1, firstTime, generation },
    ...(readIn === null ? {} : { readIn }),
  };
  const headers = [...(record?.headers ?? []), ...redriveHeaders(given)];
  const taken = redriveOrderOf(headers);
  must(taken !== null, "a letter that is listed could not come back");
  mustBeSame(taken, given, "a letter comes back as another");
}

export const letterKind: AnyKind = kindOf({
  ...{ name: "letters", codes: /^MILL_NOTE_INVALID$/, weight: 3 },
  ...{ make, read },
});
