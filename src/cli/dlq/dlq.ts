// `millrace dlq`: dead letters, from the first look to the last.
import type { Command } from "commander";
import type { PlansOf } from "../connection.ts";
import type { Register } from "../io.ts";
import { onPipeline, writing, type ConnectOperate, type OnPipeline } from "../operating.ts";
import { discardLetters, type DiscardOptions } from "./discard.ts";
import {
  DISCARD_HELP,
  EXPORT_HELP,
  LIST_HELP,
  REDRIVE_HELP,
  SHOW_HELP,
  STATS_HELP,
} from "./help.ts";
import { filtered } from "./letter-filter.ts";
import { exportLetters, list, show, stats, type LookOptions } from "./list.ts";
import { redriveLetters, type RedriveOptions } from "./redrive.ts";

export const dlqVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    const dlq = program
      .command("dlq")
      .description("dead letters: look at them, redrive, discard or export them");
    const within = onPipeline(connect, plans, run);
    addLooks(dlq, within);
    addExport(dlq, within);
    addRedrive(dlq, within);
    addDiscard(dlq, within);
  };

const STATES = "open, redriven, resolved, discarded or over; several with commas";
const SEEN = "as seen from this generation (default: the last one)";

function addLooks(dlq: Command, within: OnPipeline): void {
  filtered(dlq.command("list").argument("<pipeline>"))
    .option("--state <states>", STATES)
    .option("--generation <n>", SEEN)
    .option("--letters", "each letter instead of groups")
    .option("--json", "print one JSON object a line")
    .description("count letters by class, step, rule and code")
    .addHelpText("after", LIST_HELP)
    .action((name: string, options: LookOptions) => within(name, options, list));
  dlq
    .command("show")
    .argument("<pipeline>")
    .argument("<id>", "the letter's id, or how it begins")
    .option("--generation <n>", SEEN)
    .option("--personal", "show personal data instead of masking it; who does is noted")
    .option("--json", "print one JSON object")
    .description("show one letter: why it failed, its record decoded, its bytes")
    .addHelpText("after", SHOW_HELP)
    .action((name: string, id: string, options: LookOptions) =>
      within(name, options, (at) => show(at, id)),
    );
  dlq
    .command("stats")
    .argument("<pipeline>")
    .option("--generation <n>", SEEN)
    .option("--json", "print one JSON object")
    .description("count letters, and show the last job and who looked at personal data")
    .addHelpText("after", STATS_HELP)
    .action((name: string, options: LookOptions) => within(name, options, stats));
}

const addExport = (dlq: Command, within: OnPipeline): Command =>
  filtered(dlq.command("export").argument("<pipeline>"))
    .option("--state <states>", STATES)
    .option("--generation <n>", SEEN)
    .option("--out <file>", "write to a file, readable by its owner alone")
    .option("--personal", "with personal data instead of masking it; who does is noted")
    .description("write letters as NDJSON: why they failed, decoded, with their bytes in Base64")
    .addHelpText("after", EXPORT_HELP)
    .action((name: string, options: LookOptions) => within(name, options, exportLetters));

const addRedrive = (dlq: Command, within: OnPipeline): Command =>
  filtered(dlq.command("redrive").argument("<pipeline>"))
    .option("--parked", "those that failed as often as is allowed, and only those")
    .option("--rate <n>", "at most so many letters a second")
    .option(
      "--max <n>",
      "park what fails again after so many redrives (default: as the pipeline says, else 3)",
    )
    .option("--from <place>", "failed-step, or start where that is the same", "failed-step")
    .option("--wait [seconds]", "wait until they were processed, and say what became of them")
    .option("--cancel", "end the redrive that runs")
    .option("--dry-run", "show what would be sent back; changes nothing")
    .option("--json", "print JSON objects")
    .description("send letters back to the tasks that refused them")
    .addHelpText("after", REDRIVE_HELP)
    .action((name: string, options: RedriveOptions) =>
      within(name, options, writing(redriveLetters)),
    );

const addDiscard = (dlq: Command, within: OnPipeline): Command =>
  filtered(dlq.command("discard").argument("<pipeline>"))
    .requiredOption("--reason <text>", "why; it is noted with who did it")
    .option("--parked", "only parked ones")
    .option("--dry-run", "show what would be discarded; changes nothing")
    .option("--yes", "do it without asking")
    .option("--json", "print one JSON object a group")
    .description("give letters up: no redrive takes them again")
    .addHelpText("after", DISCARD_HELP)
    .action((name: string, options: DiscardOptions) =>
      within(name, options, writing(discardLetters)),
    );
