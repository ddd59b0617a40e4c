// `millrace produce`: records into a declared topic, from a file or from a seeded generator.
import { resolve } from "node:path";
import { keyedRows } from "../data/keyed-rows.ts";
import { sendAll, type RefusedRow, type Sendable } from "../data/send.ts";
import { generators, totalOf, type Generator, type GeneratorOptions } from "../demo/generators.ts";
import { MillraceError } from "../engine/core/errors.ts";
import type { Plan, PlanTopic } from "../engine/core/plan.ts";
import type { Clock } from "../engine/core/ports.ts";
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
import { grouped, progress } from "./progress.ts";
import { writingCodecs } from "./topic-codecs.ts";

interface ProduceOptions {
  readonly file?: string;
  readonly key?: string;
  readonly rate?: string;
  readonly generate?: string;
  readonly count?: string;
  readonly seed?: string;
  readonly updates?: string;
  readonly repeats?: string;
  readonly poison?: string;
  readonly json?: boolean;
}

/** The source of the records; `total` is null for a file. */
interface Origin {
  readonly total: number | null;
  records(topic: PlanTopic, clock: Clock): AsyncIterable<Sendable> | Iterable<Sendable>;
}

const kinds = Object.keys(generators).join("|");

export const produceVerb =
  (connect: Connect, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("produce")
      .argument("<topic>", "a declared topic")
      .option("--file <path>", "send the rows of a .csv or .ndjson file, also .gz, .br or .zst")
      .option("--key <field>", "field that is the record's key (default: the schema's first)")
      .option("--generate <kind>", `send generated records: ${kinds}`)
      .option("--count <n>", "how many to generate")
      .option("--seed <n>", "the same seed gives the same records (default: 1)")
      .option("--updates <n>", "orders: later updates of orders (default: 0)")
      .option("--repeats <n>", "orders: exact repeats of orders (default: 0)")
      .option("--poison <n>", "orders: unreadable records of each of five kinds (default: 0)")
      .option("--rate <n>", "records a second (default: as fast as Kafka takes them)")
      .option("--json", "print one JSON object")
      .description("send records to a topic, from a file or a seeded generator")
      .action((topic: string, options: ProduceOptions) =>
        run(async (io) => {
          const origin = originOf(topic, options, io);
          return connected(connect, io, (connection) =>
            produce(
              io,
              connection,
              declaredTopic(plans(connection.namespace), topic),
              origin,
              options,
            ),
          );
        }),
      );
  };

function originOf(topic: string, options: ProduceOptions, io: CliIo): Origin {
  const { file, generate, key = null } = options;
  if ((file === undefined) === (generate === undefined))
    throw usage(`give either --file or --generate <${kinds}>`);
  if (file === undefined) return generatedOrigin(topic, generate ?? "", options);
  return { total: null, records: (to) => keyedRows(resolve(io.cwd, file), to, key) };
}

function generatedOrigin(topic: string, kind: string, options: ProduceOptions): Origin {
  const generator = Object.hasOwn(generators, kind) ? generators[kind] : undefined;
  if (generator === undefined) throw wrongOption("--generate", kinds, kind);
  if (generator.topic !== topic) throw usage(`generated ${kind} are records of ${generator.topic}`);
  const how = generatorOptions(generator, options);
  const records = (_: PlanTopic, clock: Clock) =>
    generator.records({ ...how, now: () => clock.now() });
  return { total: totalOf(how), records };
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

async function produce(
  io: CliIo,
  connection: Connection,
  topic: PlanTopic,
  origin: Origin,
  options: ProduceOptions,
): Promise<number> {
  const { kafka, registry, clock } = connection;
  const { name } = topic;
  const perSecond = wholeOption("--rate", options.rate, { min: 1, fallback: null });
  const partitions = await partitionsOf(connection, name);
  const records = origin.records(topic, clock);
  const producer = kafka.producer();
  const target = { topic: name, partitions, producer, ...(await writingCodecs(topic, registry)) };
  const bar = progress(io, clock, { done: "sent", total: origin.total });
  const startMs = clock.now();
  const refused: RefusedRow[] = [];
  try {
    const onRefused = (row: RefusedRow): void => void refused.push(row);
    const onSent = (n: number): void => bar.add(n);
    const sent = await sendAll(records, target, { clock, perSecond, onSent, onRefused });
    const seconds = (clock.now() - startMs) / 1000;
    if (options.json === true) io.out(JSON.stringify({ topic: name, records: sent, seconds }));
    else io.out(`${grouped(sent)} records sent to ${name}`);
  } finally {
    bar.end();
    await producer.close();
  }
  checkRefused(refused, name);
  return exitCodes.ok;
}

const SHOWN_MAX = 10;

/** Numbers count the records of the file or the generator from 1 on. */
function checkRefused(refused: readonly RefusedRow[], topic: string): void {
  if (refused.length === 0) return;
  const shown = refused
    .slice(0, SHOWN_MAX)
    .map(({ number, why }) => `record ${String(number)}: ${why}`);
  const more = refused.length > SHOWN_MAX ? `; and ${String(refused.length - SHOWN_MAX)} more` : "";
  throw new MillraceError(
    "MILL_OUTPUT_REFUSED",
    `${grouped(refused.length)} refused, all others are in ${topic}. Mend these and send them alone: ${shown.join("; ")}${more}`,
  );
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
