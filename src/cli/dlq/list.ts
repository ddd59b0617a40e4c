// `millrace dlq list | show | stats | export`: looking at dead letters. Changes nothing but the note of who looked at
// personal data.
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { jsonText } from "../../data/json-text.ts";
import { MillraceError } from "../../engine/core/errors.ts";
import { countedBy, groupsOf, type LetterGroup } from "../../engine/letters/filter.ts";
import type { FoundLetter } from "../../engine/letters/found-letter.ts";
import { auditsIn, jobIn, type Audit } from "../../engine/letters/commands/operator.ts";
import { readLetters, type Letters } from "../../engine/letters/read-letters.ts";
import { exitCodes, type CliIo } from "../io.ts";
import { usage } from "../option-values.ts";
import { auditPersonal } from "../personal.ts";
import { grouped } from "../progress.ts";
import { tableLines } from "../table-lines.ts";
import type { VerbContext } from "../operating.ts";
import { choiceOf, filterOf, generationOf } from "./letter-filter.ts";
import { factsJson, shownState, viewer, viewLines, type PersonalOptions } from "./letter-view.ts";

export interface LookOptions extends PersonalOptions {
  readonly letters?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}
type Look = VerbContext<LookOptions>;

/** With their records where they are shown. A letter that is over is chosen only by its state, or by its id. */
async function chosen(at: Look, withRecords: boolean): Promise<readonly FoundLetter[]> {
  const { state, id } = at.options;
  const byOptions = await choiceOf(at, filterOf(at.plan, at.options));
  const isNamed = state !== undefined || id !== undefined;
  const isChosen: typeof byOptions = (letter) => (isNamed || !isOver(letter)) && byOptions(letter);
  const keep = withRecords ? isChosen : undefined;
  const { letters, unread } = await readLetters(at.plan, at.ports, keep, generationOf(at.options));
  sayUnread(at.io, unread);
  return letters.filter(isChosen);
}

function sayUnread(io: CliIo, unread: Letters["unread"]): void {
  for (const { code, message } of unread)
    io.err(
      `${code}  ${message}. No task writes such a batch: it has no letters, and is passed over`,
    );
}

const isOver = ({ state }: Omit<FoundLetter, "record">): boolean => state.state === "over";

export async function list(at: Look): Promise<number> {
  const { io, options } = at;
  const letters = await chosen(at, false);
  const isJson = options.json === true;
  if (options.letters !== true) printGroups(io, letters, isJson);
  else for (const line of isJson ? letters.map(letterJson) : letterLines(letters)) io.out(line);
  if (letters.length === 0) io.err("No letter matches.");
  return exitCodes.ok;
}

const letterJson = (letter: FoundLetter): string => jsonText(factsJson(letter));

function letterLines(letters: readonly FoundLetter[]): readonly string[] {
  if (letters.length === 0) return [];
  const header = ["ID", "STATE", "REDRIVES", "CLASS", "STEP", "CODE", "PART", "ORIGIN", "LAST"];
  const rows = letters.map((letter) => {
    const { id, state } = letter;
    const place = placeText(letter);
    const why = [letter.class, letter.step, letter.code, letter.part];
    return [
      id.slice(0, 12),
      shownState(letter),
      String(state.redrives),
      ...why,
      place,
      letter.lastTime ?? "-",
    ];
  });
  return tableLines([header, ...rows]);
}

/** The operator, task and window of a result. */
function placeText({ origin: { topic, partition, offset }, result }: FoundLetter): string {
  if (result === null) return `${topic}-${String(partition)}:${String(offset)}`;
  return `${topic}-${String(partition)} ${result.windowStart ?? ""}`.trimEnd();
}

export function printGroups(io: CliIo, letters: readonly FoundLetter[], isJson: boolean): void {
  const groups = groupsOf(letters);
  for (const line of isJson ? groups.map(jsonText) : groupLines(groups)) io.out(line);
}

export function groupLines(groups: readonly LetterGroup[]): readonly string[] {
  if (groups.length === 0) return [];
  const header = ["COUNT", "CLASS", "STEP", "RULE", "CODE", "STATES", "FIRST", "LAST", "EXAMPLE"];
  const rows = groups.map((group) => {
    const why = [group.class, group.step, group.rule ?? "-", group.code];
    const times = [group.first ?? "-", group.last ?? "-"];
    return [grouped(group.count), ...why, statesText(group), ...times, group.example.slice(0, 12)];
  });
  return tableLines([header, ...rows]);
}

function statesText({ states, parked }: LetterGroup): string {
  const { open = 0, ...others } = states;
  const all = { open: open - parked, parked, ...others };
  return Object.entries(all)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${grouped(n)} ${state}`)
    .join(", ");
}

export async function show(at: Look, id: string): Promise<number> {
  const isNamed = (letter: Omit<FoundLetter, "record">): boolean => letter.id.startsWith(id);
  const seenFrom = generationOf(at.options);
  const { letters, unread } = await readLetters(at.plan, at.ports, isNamed, seenFrom);
  sayUnread(at.io, unread);
  const found = letters.filter((letter) => letter.id.startsWith(id));
  const [letter] = found;
  if (letter === undefined) throw new MillraceError("MILL_NOT_FOUND", `no letter ${id}`);
  if (found.length > 1) throw usage(`${id} begins ${String(found.length)} ids: give more of it`);
  if (at.options.personal === true) await auditPersonal(at, "dlq show --personal", 1);
  const shown = await viewer(at)(letter);
  for (const line of at.options.json === true ? [jsonText(shown)] : viewLines(shown))
    at.io.out(line);
  return exitCodes.ok;
}

export async function exportLetters(at: Look): Promise<number> {
  const letters = await chosen(at, true);
  if (at.options.personal === true && letters.length > 0)
    await auditPersonal(at, "dlq export --personal", letters.length);
  const view = viewer(at);
  const { out } = at.options;
  const file = out === undefined ? null : createWriteStream(out, { mode: 0o600 });
  for (const letter of letters) {
    const line = jsonText(await view(letter));
    if (file === null) at.io.out(line);
    else if (!file.write(`${line}\n`)) await once(file, "drain");
  }
  if (file !== null) {
    file.end();
    await once(file, "finish");
  }
  at.io.err(`${grouped(letters.length)} letters exported${out === undefined ? "" : ` to ${out}`}`);
  return exitCodes.ok;
}

const AUDITS_SHOWN = 10;

export async function stats({ io, plan, ports, options }: Look): Promise<number> {
  const found = await readLetters(plan, ports, undefined, generationOf(options));
  sayUnread(io, found.unread);
  const facts = statsOf(found);
  if (options.json === true) io.out(jsonText(facts));
  else for (const line of statLines(facts)) io.out(line);
  return exitCodes.ok;
}

const statsOf = ({ letters: all, ...beside }: Letters) => {
  const letters = all.filter((letter) => !isOver(letter));
  return { ...countsOf(letters), over: all.length - letters.length, ...besideOf(beside) };
};

const countsOf = (letters: readonly FoundLetter[]) => ({
  letters: letters.length,
  states: countedBy(letters, shownState),
  classes: countedBy(letters, (one) => one.class),
  parts: countedBy(letters, (one) => one.part),
  topics: countedBy(letters, (one) => one.origin.topic),
  redrives: countedBy(letters, (one) => String(one.state.redrives)),
});

const besideOf = ({ notes, lineage, ...counts }: Omit<Letters, "letters">) => ({
  elsewhere: counts.elsewhere,
  generation: lineage.current,
  foreign: counts.foreign,
  unread: counts.unread.length,
  job: jobIn(notes),
  audits: auditsIn(notes).slice(0, AUDITS_SHOWN),
});

function statLines(facts: ReturnType<typeof statsOf>): readonly string[] {
  const { job, audits, letters, foreign, unread, over, elsewhere, generation, ...counts } = facts;
  const texts = Object.entries(counts).map(([name, of]) => {
    const texts = Object.entries(of).map(([each, n]) => `${each} ${grouped(n)}`);
    return `${name.padEnd(9)} ${texts.join(", ") || "none"}`;
  });
  const jobs = job === null ? "none" : jobText(job);
  const others = [
    ["over", over, "whose records a later generation reads again"],
    ["elsewhere", elsewhere, "records of letters of generations that are not looked at"],
    ["foreign", foreign, "records that no task wrote"],
    ["unread", unread, "batches that nobody can read, which no task wrote either"],
  ] as const;
  const beside = others.flatMap(([name, n, what]) =>
    n === 0 ? [] : [`${name.padEnd(9)} ${grouped(n)} ${what}`],
  );
  const seen = generation === 0 ? [] : [`seen from generation ${String(generation)}`];
  const looked = audits.map(auditLine);
  const all = [`letters   ${[grouped(letters), ...seen].join(", ")}`, ...texts, ...beside];
  return [...all, `last job  ${jobs}`, ...looked];
}

/** Looks at topics and state count no letters. */
function auditLine({ atMs, who, command, letters, reason }: Audit): string {
  const count = letters === 0 ? "" : `, ${grouped(letters)} letters`;
  const why = reason === undefined ? "" : `: ${reason}`;
  return `audit     ${new Date(atMs).toISOString()}  ${who}  ${command}${count}${why}`;
}

const jobText = ({
  job,
  state,
  sent,
  chosen: of,
  atMs,
}: NonNullable<ReturnType<typeof jobIn>>): string =>
  `${job} ${state}, ${grouped(sent)} of ${grouped(of)} sent, ${new Date(atMs).toISOString()}`;
