// `millrace produce`: records into a declared topic, from a file or from a seeded generator.
import { sendAll } from "../data/send.ts";
import { generators, totalOf, type Generator, type GeneratorOptions } from "../demo/generators.ts";
import { MillraceError } from "../engine/core/errors.ts";
import type { Plan, PlanTopic } from "../engine/core/plan.ts";
import { readPlanSettings } from "../engine/runtime/host/settings.ts";
import {
  connected,
  partitionsOf,
  topicsOf,
  type Connect,
  type Connection,
  type PlansOf,
} from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { usage, wholeOption, wrongOption } from "./option-values.ts";
import { checkFile } from "./produce-check.ts";
import { sendFile } from "./produce-file.ts";
import { fileRequest, topicAnd, type FileOptions } from "./produce-options.ts";
import { RefusedRows } from "./produce-refused.ts";
import { grouped, progress } from "./progress.ts";
import { writingCodecs } from "./topic-codecs.ts";

interface ProduceOptions extends Omit<FileOptions, "file"> {
  readonly file?: string;
  readonly check?: boolean;
  readonly generate?: string;
  readonly count?: string;
  readonly seed?: string;
  readonly updates?: string;
  readonly repeats?: string;
  readonly poison?: string;
}

interface Generated {
  readonly generator: Generator;
  readonly options: GeneratorOptions;
}

const kinds = Object.keys(generators).join("|");

const HELP = `
Rows of a file are sent exactly once: each batch is a transaction that also says which line comes next. A command that ends before
the end of its file, killed or not, says how to go on, or the next one for the same file does. An invalid row ends the sending
(stop) after all records before it, is left out (skip), or is left out and written with line, column and reason into a file
(reject-file PATH).

Exit codes: 0 sent, or nothing invalid · 1 invalid rows, or records that Kafka refuses · 3 no such file or topic · 5 a part of
the file is in the topic already · 69 a server is away · 130 stopped by a signal.

Examples:
  $ npx millrace produce transactions --file transactions.csv.gz --check
  $ npx millrace produce transactions --file transactions.csv.gz --on-invalid reject-file rejects.csv
  $ npx millrace produce transactions --file transactions.csv.gz --from-line 20002
  $ zcat transactions.csv.gz | npx millrace produce transactions --file -`;

export const produceVerb =
  (connect: Connect, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("produce")
      .argument("[topic]", "a declared topic")
      .option(
        "--file <path>",
        "send the rows of a .csv or .ndjson file, also .gz, .br or .zst; - reads standard input",
      )
      .option("--key <field>", "field that is the record's key (default: the schema's first)")
      .option("--check", "read the whole file, name every invalid row, send nothing")
      .option(
        "--on-invalid <what...>",
        "for invalid rows: stop (default), skip or reject-file PATH",
      )
      .option("--from-line <n>", "send the rows of the file from this line on")
      .option("--again", "send rows that an unfinished command for the file has sent before")
      .option("--generate <kind>", `send generated records: ${kinds}`)
      .option("--count <n>", "how many to generate")
      .option("--seed <n>", "the same seed gives the same records (default: 1)")
      .option("--updates <n>", "orders: later updates of orders (default: 0)")
      .option("--repeats <n>", "orders: exact repeats of orders (default: 0)")
      .option("--poison <n>", "orders: unreadable records of each of five kinds (default: 0)")
      .option("--rate <n>", "records a second (default: as fast as Kafka takes them)")
      .option("--json", "print one JSON object")
      .description("send records to a topic, from a file or a seeded generator")
      .addHelpText("after", HELP)
      .action((operand: string | undefined, options: ProduceOptions) =>
        run(async (io) => {
          const { topic, onInvalid } = topicAnd(operand, options.onInvalid);
          return produce(io, { connect, plans }, topic, { ...options, onInvalid });
        }),
      );
  };

function produce(
  io: CliIo,
  { connect, plans }: { readonly connect: Connect; readonly plans: PlansOf },
  name: string,
  options: ProduceOptions,
): Promise<number> {
  const { file, generate } = options;
  if ((file === undefined) === (generate === undefined))
    throw usage(`give either --file or --generate <${kinds}>`);
  if (file === undefined) {
    const generated = generatedOf(name, generate ?? "", options);
    return connected(connect, io, (connection) =>
      sendGenerated(
        { io, connection, topic: declaredTopic(plans(connection), name) },
        generated,
        options,
      ),
    );
  }
  const request = fileRequest(name, { ...options, file }, io.cwd);
  if (options.check === true)
    return checkFile(io, declaredTopic(plans(readPlanSettings(io.env)), name), request);
  return connected(connect, io, (connection) => {
    const topic = declaredTopic(plans(connection), name);
    return sendFile({ io, connection, topic, request });
  });
}

function generatedOf(topic: string, kind: string, options: ProduceOptions): Generated {
  const { check, fromLine, again, onInvalid = [] } = options;
  if ([check, fromLine, again, onInvalid[0]].some((option) => option !== undefined))
    throw usage("--check, --from-line, --again and --on-invalid are for --file");
  const generator = Object.hasOwn(generators, kind) ? generators[kind] : undefined;
  if (generator === undefined) throw wrongOption("--generate", kinds, kind);
  if (generator.topic !== topic) throw usage(`generated ${kind} are records of ${generator.topic}`);
  return { generator, options: generatorOptions(generator, options) };
}

function generatorOptions(generator: Generator, options: ProduceOptions): GeneratorOptions {
  const number = (name: "count" | "seed" | "updates" | "repeats" | "poison", fallback: number) =>
    wholeOption(`--${name}`, options[name], { min: 0, fallback });
  const how = {
    count: number("count", generator.count),
    seed: number("seed", 1),
    updates: number("updates", 0),
    repeats: number("repeats", 0),
    poison: number("poison", 0),
  };
  if (!generator.hasAnomalies && how.updates + how.repeats + how.poison > 0)
    throw usage("--updates, --repeats and --poison are for orders");
  return how;
}

async function sendGenerated(
  at: { readonly io: CliIo; readonly connection: Connection; readonly topic: PlanTopic },
  { generator, options: how }: Generated,
  options: ProduceOptions,
): Promise<number> {
  const { io, connection, topic } = at;
  const { kafka, registry, clock } = connection;
  const { name } = topic;
  const perSecond = wholeOption("--rate", options.rate, { min: 1, fallback: null });
  const partitions = await partitionsOf(connection, name);
  const records = generator.records({ ...how, now: () => clock.now() });
  const codecs = await writingCodecs(topic, registry);
  const producer = kafka.producer();
  const bar = progress(io, clock, { done: "sent", total: totalOf(how) });
  const startMs = clock.monotonic();
  const refused = new RefusedRows(name);
  try {
    const target = { topic: name, partitions, producer, ...codecs };
    const onSent = (n: number): void => bar.add(n);
    const sent = await sendAll(records, target, {
      clock,
      perSecond,
      onSent,
      onRefused: refused.add,
    });
    const seconds = (clock.monotonic() - startMs) / 1000;
    if (options.json === true) io.out(JSON.stringify({ topic: name, records: sent, seconds }));
    else io.out(`${grouped(sent)} records sent to ${name}`);
  } finally {
    bar.end();
    await producer.close();
  }
  refused.check();
  return exitCodes.ok;
}

function declaredTopic(plans: readonly Plan[], name: string): PlanTopic {
  const topics = topicsOf(plans);
  const topic = topics.get(name);
  if (topic !== undefined) return topic;
  const known = [...topics.values()].filter(({ internal }) => internal === null);
  throw new MillraceError(
    "MILL_NOT_FOUND",
    `no declared topic ${name}; declared are ${known.map((t) => t.name).join(", ")}`,
  );
}
