// Options of `reprocess plan` and `reprocess run`, from texts to a request.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { messageOf } from "../../engine/core/errors.ts";
import type { StartOffset } from "../../engine/core/kafka.ts";
import type { Aim, RangeRequest } from "../../engine/reprocess/plan/pin.ts";
import type { RunRequest } from "../../engine/reprocess/plan/run-plan.ts";
import type { RangeEnd, RunOptions, RunSource } from "../../engine/reprocess/words/run.ts";
import type { CliIo } from "../io.ts";
import { timeOption, usage, wholeOption, wrongOption } from "../option-values.ts";

export interface RangeOptions {
  readonly from?: string;
  readonly to?: string;
  readonly fromOffset?: readonly string[];
  readonly toOffset?: readonly string[];
  readonly offsets?: string;
  readonly margin?: string;
  readonly file?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly deadLetters?: boolean;
  readonly inPlace?: boolean;
  readonly follow?: boolean;
  readonly end?: string;
  readonly rate?: string;
  readonly lagLimit?: string;
  readonly workers?: string;
  readonly failOnLetters?: string;
}

const repeated = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** The options that say what a run reads and how. */
export const withRange = (command: Command): Command =>
  command
    .option("--from <when>", "earliest, a date, an ISO time or epoch ms (default: earliest)")
    .option(
      "--to <when>",
      "latest, a date, an ISO time or epoch ms, itself not read (default: latest)",
    )
    .option("--from-offset <place>", "topic-partition=offset; may be repeated", repeated)
    .option(
      "--to-offset <place>",
      "topic-partition=offset, itself not read; may be repeated",
      repeated,
    )
    .option("--offsets <file>", 'JSON such as {"from": {"orders-0": 120}, "to": {"orders-0": 900}}')
    .option("--margin <seconds>", "how far timestamps may be out of order (default: 600)")
    .option("--file <path>", "read the rows of a .csv or .ndjson file (also .gz, .br, .zst)")
    .option("--topic <topic>", "with --file: the topic whose records the rows are")
    .option("--key <field>", "with --file: the field that is the key (default: the schema's first)")
    .option("--dead-letters", "read the open dead letters of the pipeline")
    .option("--in-place", "write into the live tables, never over newer rows (default: new tables)")
    .option("--follow", "go on behind the live pipeline at the end, until stopped")
    .option(
      "--end <how>",
      "close or keep open windows (default: close; with --follow, --in-place: keep)",
    )
    .option("--rate <n>", "most records a second")
    .option("--lag-limit <ms>", "yield while the live pipeline is further behind (default: 10000)")
    .option("--workers <n>", "processes; each is a member of every group of the run (default: 1)")
    .option(
      "--fail-on-letters <n>",
      "fail above so many dead letters, or above a share such as 5%",
    );

export function requestOf(options: RangeOptions, io: CliIo): RunRequest {
  const source = sourceOf(options, io);
  if (options.follow === true && source.kind !== "kafka")
    throw usage("--follow: only a range of Kafka can be followed");
  return {
    target: options.inPlace === true ? "in-place" : "shadow",
    range: rangeOf(options, source, io),
    options: howOf(options, source),
  };
}

function sourceOf({ file, topic, key, deadLetters }: RangeOptions, io: CliIo): RunSource {
  if (file === undefined) {
    if (topic !== undefined || key !== undefined) throw usage("--topic and --key go with --file");
    return { kind: deadLetters === true ? "dead-letters" : "kafka" };
  }
  if (deadLetters === true) throw usage("give either --file or --dead-letters");
  if (topic === undefined) throw usage("--file: say with --topic whose records its rows are");
  return { kind: "file", path: resolve(io.cwd, file), topic, key: key ?? null };
}

function rangeOf(options: RangeOptions, source: RunSource, io: CliIo): RangeRequest {
  const listed = listedIn(options.offsets, io);
  const marginS = wholeOption("--margin", options.margin, { min: 0, fallback: 600 });
  // Beside a file nothing else is read unless it is asked for.
  const earliest: Aim = { kind: "earliest" };
  const from = options.from === undefined ? null : aimOf("--from", options.from, "earliest");
  return {
    from: from ?? (source.kind === "kafka" ? earliest : null),
    to: aimOf("--to", options.to ?? "latest", "latest"),
    fromOffsets: [...listed.from, ...placesIn("--from-offset", options.fromOffset)],
    toOffsets: [...listed.to, ...placesIn("--to-offset", options.toOffset)],
    marginMs: marginS * 1_000,
  };
}

function aimOf(option: string, text: string, word: "earliest" | "latest"): Aim {
  if (text === "earliest" || text === "latest") return { kind: text };
  return { kind: "time", epochMs: timeOption(option, text, word) };
}

const PLACE = /^(.+)-(\d{1,9})=(\d{1,18})$/;

function placesIn(option: string, texts: readonly string[] = []): StartOffset[] {
  return texts.map((text) => {
    const [, topic, partition, offset] = PLACE.exec(text) ?? [];
    if (topic === undefined || partition === undefined || offset === undefined)
      throw wrongOption(option, "topic-partition=offset", text);
    return { topic, partition: Number(partition), nextOffset: BigInt(offset) };
  });
}

const side = z.record(z.string(), z.number().int().min(0)).default({});
const offsetsFile = z.strictObject({ from: side, to: side });

function listedIn(
  path: string | undefined,
  io: CliIo,
): { readonly from: StartOffset[]; readonly to: StartOffset[] } {
  if (path === undefined) return { from: [], to: [] };
  let parsed: z.infer<typeof offsetsFile>;
  try {
    parsed = offsetsFile.parse(JSON.parse(readFileSync(resolve(io.cwd, path), "utf8")));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw usage(`--offsets ${path}: ${why}`);
  }
  const places = (of: Readonly<Record<string, number>>): StartOffset[] =>
    placesIn(
      `--offsets ${path}`,
      Object.entries(of).map(([at, offset]) => `${at}=${String(offset)}`),
    );
  return { from: places(parsed.from), to: places(parsed.to) };
}

const LAG_LIMIT_MS = 10_000;

function howOf(options: RangeOptions, source: RunSource): Omit<RunOptions, "staged"> {
  const workers = wholeOption("--workers", options.workers, { min: 1, fallback: 1 });
  if (workers > 64) throw wrongOption("--workers", "1 to 64", String(workers));
  const lagLimit = { min: 100, fallback: LAG_LIMIT_MS };
  return {
    source,
    rate: wholeOption("--rate", options.rate, { min: 1, fallback: null }),
    lagLimitMs: wholeOption("--lag-limit", options.lagLimit, lagLimit),
    workers,
    follow: options.follow === true,
    end: endOf(options),
    lettersMax: lettersMaxOf(options.failOnLetters),
  };
}

/** A batch is over at its end. Behind one that follows, or beside one in place, live goes on with its windows. */
function endOf({ end, follow, inPlace }: RangeOptions): RangeEnd {
  const goesOn = follow === true || inPlace === true;
  if (end === undefined) return goesOn ? "keep" : "close";
  if (end !== "close" && end !== "keep") throw wrongOption("--end", "close or keep", end);
  if (end === "close" && follow === true)
    throw usage("--follow: a run that goes on has no end at which windows could close");
  return end;
}

export function lettersMaxOf(text: string | undefined): RunOptions["lettersMax"] {
  if (text === undefined) return null;
  const [, amount = "", isShare] = /^(\d{1,12}(?:\.\d{1,3})?)(\s?%)?$/.exec(text) ?? [];
  const value = Number(amount);
  if (isShare !== undefined && amount !== "" && value <= 100) return { share: value / 100 };
  if (isShare === undefined && /^\d+$/.test(amount)) return { count: value };
  throw wrongOption("--fail-on-letters", "a count or a share such as 5%", text);
}
