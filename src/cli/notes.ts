// `millrace notes show | repair`: what a pipeline has noted of itself, and notes that something else has written over.
import type { Command } from "commander";
import { shownKey } from "../engine/core/foreign.ts";
import { isBatchKey } from "../engine/notes/kinds.ts";
import { loggedNotes, repairNotes, type LoggedNote } from "../engine/operate/notes/note-log.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type Register } from "./io.ts";
import {
  onPipeline,
  writing,
  type ConnectOperate,
  type OnPipeline,
  type VerbContext,
} from "./operating.ts";
import { exitUnlessYes, type ChangeOptions } from "./option-values.ts";
import { tableLines } from "./table-lines.ts";

const SHOW_HELP = `
Notes lie in <pipeline>-meta: where each task began, what each store was, the gate, generations of letters, tasks that have
stopped. States of letters lie in <pipeline>-letter-states; of these only what cannot be read is shown, unless --all.

Exit codes: 0 every note can be read · 1 one cannot · 3 no such pipeline · 69 a server is away.

Examples:
  $ npx millrace notes show retail
  $ npx millrace notes show retail --all --json`;

const REPAIR_HELP = `
A note that cannot be read was written by something else than Millrace. The last good one of its key is written again, where
the topic still has it; else the note is taken away, and the line says what that means. A record batch that nobody can read
is passed over from then on. Workers may run. Without --yes
it shows what it would write.

Exit codes: 0 repaired, or nothing is wrong, or shown by --dry-run · 2 --yes is missing · 3 no such pipeline · 5 workers of
another release are at work · 69 a server is away.

Examples:
  $ npx millrace notes repair retail --dry-run
  $ npx millrace notes repair retail --yes`;

interface ShowNotesOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

export const notesVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    const notes = program.command("notes").description("show or repair what a pipeline has noted");
    const within = onPipeline(connect, plans, run);
    addShow(notes, within);
    addRepair(notes, within);
  };

const addShow = (notes: Command, within: OnPipeline): Command =>
  notes
    .command("show")
    .argument("<pipeline>")
    .option("--all", "states of letters too")
    .option("--json", "print one JSON object a note")
    .description("show each note, and whether it can be read")
    .addHelpText("after", SHOW_HELP)
    .action((name: string, options: ShowNotesOptions) => within(name, options, show));

const addRepair = (notes: Command, within: OnPipeline): Command =>
  notes
    .command("repair")
    .argument("<pipeline>")
    .option("--dry-run", "show what would be written; changes nothing")
    .option("--yes", "do it without asking")
    .option("--json", "print one JSON object a note")
    .description("write the last good one again of each note that cannot be read")
    .addHelpText("after", REPAIR_HELP)
    .action((name: string, options: ChangeOptions) => within(name, options, writing(repair)));

async function show(at: VerbContext<ShowNotesOptions>): Promise<number> {
  const { io, plan, ports, options } = at;
  const found = await loggedNotes(plan, ports);
  const isShown = ({ topic, why }: LoggedNote): boolean =>
    topic === plan.meta || why !== null || options.all === true;
  const shown = found.filter(isShown);
  if (options.json === true) for (const note of shown) io.out(JSON.stringify(noteJson(note)));
  else if (shown.length > 0) for (const line of noteLines(shown)) io.out(line);
  const wrong = found.filter(({ why }) => why !== null).length;
  const good = found.length - wrong;
  io.err(`${String(good)} notes are good, ${String(wrong)} cannot be read.`);
  if (wrong > 0) io.err(`To repair them: npx millrace notes repair ${plan.pipeline}`);
  return wrong === 0 ? exitCodes.ok : exitCodes.failure;
}

async function repair(at: VerbContext<ChangeOptions>): Promise<number> {
  const { io, plan, ports, options } = at;
  const wrong = (await loggedNotes(plan, ports)).filter(({ why }) => why !== null);
  if (wrong.length === 0) {
    io.err("Every note can be read.");
    return exitCodes.ok;
  }
  for (const note of wrong)
    io.out(
      options.json === true
        ? JSON.stringify({ ...noteJson(note), writes: cureOf(note) })
        : `${placeOf(note)}, key ${shownKey(note.key)}: ${note.why ?? ""}; ${cureText(note)}`,
    );
  const refusal = await exitUnlessYes(io, options, "changed");
  if (refusal !== null) return refusal;
  const done = await repairNotes(plan, wrong, ports);
  io.err(`${String(done.length)} of ${String(wrong.length)} notes repaired.`);
  return exitCodes.ok;
}

const TEXT_MAX = 100;

const placeOf = ({ topic, offset }: LoggedNote): string => `${topic}-0 at ${String(offset)}`;

const timeText = (epochMs: number): string | null =>
  epochMs > 0 && epochMs <= 8.64e15 ? new Date(epochMs).toISOString() : null;

const noteJson = ({ topic, key, offset, timestamp, why, lastGood }: LoggedNote): object => ({
  ...{ topic, partition: 0, offset: Number(offset), key, time: timeText(timestamp) },
  ...{ isGood: why === null, why, lastGoodOffset: numberOf(lastGood?.offset) },
  says: lastGood?.text ?? null,
});

const numberOf = (offset: bigint | undefined): number | null =>
  offset === undefined ? null : Number(offset);

/** The content of the note; for one that cannot be read, the note that counts instead. */
function noteLines(notes: readonly LoggedNote[]): readonly string[] {
  const rows = notes.map((note) => {
    const { topic, key, offset, why, lastGood } = note;
    const says = cut(lastGood?.text ?? "-");
    return [topic, shownKey(key).slice(1, -1), String(offset), why ?? "good", says];
  });
  return tableLines([["TOPIC", "KEY", "OFFSET", "VERDICT", "SAYS, OR SAID LAST"], ...rows]);
}

const cut = (text: string): string =>
  text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;

/** The repair's record: the last good note, or a tombstone for the key. */
const cureOf = ({ key, lastGood }: LoggedNote): "last-good" | "tombstone" | "pass-over" => {
  if (isBatchKey(key)) return "pass-over";
  return lastGood === null || lastGood.text === null ? "tombstone" : "last-good";
};

function cureText(note: LoggedNote): string {
  const { lastGood, key } = note;
  if (isBatchKey(key))
    return "it is passed over from now on; a note that it has, or has replaced, counts as never written";
  if (lastGood === null)
    return `there is no good one any more, so it is taken away: ${without(key)}`;
  const at = `at ${String(lastGood.offset)}`;
  return lastGood.text === null
    ? `it had been taken away ${at}, and is again`
    : `the last good one, ${at}, is written again: ${cut(lastGood.text)}`;
}

/** The consequence of a note that is gone, by the first word of its key. */
function without(key: string): string {
  const word = /^[a-z-]+/.exec(key)?.[0] ?? "";
  return Object.hasOwn(meanings, word) ? (meanings[word] ?? "") : "nothing depends on it";
}

const meanings: Readonly<Record<string, string>> = {
  gate: "the pipeline goes on. If a promotion had shut it, end that first; reprocess list shows it",
  stores:
    "the pipeline works on its own stores. If a run was promoted, repair nothing; reprocess list shows it",
  "halt-above": "the pipeline's own limit of dead letters counts",
  generation: "letters count as those of the generation before; see them with dlq list",
  start: "the task counts as one that has never begun, if it has no progress",
  piece: "nothing depends on it while the part has its name",
  store: "the next start notes what the store is now",
  stop: "the worker notes it again while the task is stopped",
  resume: "ask again with resume",
  shape: "a task that meets such a value waits for resume --accept-shapes",
  letter: "the letter is open again",
};
