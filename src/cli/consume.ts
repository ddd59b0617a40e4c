// `millrace consume`: the committed records of a topic, decoded, one a line. Ends where the topic ended when it
// began, unless it follows. Personal data is masked unless asked for, which is noted; what cannot be decoded is shown as its
// error.
import { jsonText } from "../data/json-text.ts";
import { hidden, keyHash, masked } from "../data/masked.ts";
import { readTopic, type From } from "../data/read.ts";
import { withAdmin } from "../data/with-admin.ts";
import { ConfigError, type BatchError } from "../engine/core/errors.ts";
import { instantText } from "../engine/core/event-time.ts";
import { sightOf, type Sight, type TopicSight } from "../engine/core/personal.ts";
import type { Plan } from "../engine/core/plan.ts";
import {
  connected,
  partitionsOf,
  topicsOf,
  type Connect,
  type Connection,
  type PlansOf,
} from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { timeOption, wholeOption } from "./option-values.ts";
import { auditPersonal } from "./personal.ts";
import { batchDecoder, type DecodedRecord } from "./topic-codecs.ts";

interface ConsumeOptions {
  readonly from: string;
  readonly max?: string;
  readonly key?: string;
  readonly partition?: string;
  readonly follow?: boolean;
  readonly personal?: boolean;
  readonly json?: boolean;
}

const CONSUME_HELP = `
Fields and keys that a topic declares as personal are masked, and all of what a pipeline with personal data keeps for itself:
letters, changelogs, topics between its parts and those of its runs. With --personal they are shown; who asked and when is
noted first, for every pipeline whose topic it is (dlq stats). Of a topic that no pipeline has, nothing is masked or noted.

A batch that nobody can read ends its partition; the others are shown, and the command that reads on behind it is printed.

Exit codes: 0 shown · 1 a batch cannot be read · 2 usage · 3 no such partition · 69 a server is away · 78 no such topic.

Examples:
  $ npx millrace consume orders.clean --max 3
  $ npx millrace consume customer_orders --from 2026-01-05 --key o-1 --json`;

export const consumeVerb =
  (connect: Connect, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("consume")
      .argument("<topic>", "any topic; values of declared ones are decoded by their schema")
      .option("--from <place>", "earliest, latest, an offset, or a time", "earliest")
      .option("--max <n>", "end after so many records")
      .option("--key <key>", "only records with this key")
      .option("--partition <n>", "only this partition")
      .option("--follow", "go on with what comes later")
      .option("--personal", "show personal data instead of masking it; who does is noted")
      .option("--json", "print one JSON object a record")
      .description("show the committed records of a topic, decoded")
      .addHelpText("after", CONSUME_HELP)
      .action((topic: string, options: ConsumeOptions) =>
        run((io) =>
          connected(connect, io, (connection) =>
            consume(io, connection, plans(connection), topic, options),
          ),
        ),
      );
  };

async function consume(
  io: CliIo,
  connection: Connection,
  plans: readonly Plan[],
  name: string,
  options: ConsumeOptions,
): Promise<number> {
  const { kafka, registry, clock } = connection;
  const topic = topicsOf(plans).get(name) ?? null;
  let end: number = exitCodes.ok;
  const request = {
    topic: name,
    partition: wholeOption("--partition", options.partition, { min: 0, fallback: null }),
    from: fromOf(options.from),
    isFollowing: options.follow === true,
    onUnreadable: (error: BatchError): void => {
      end = exitCodes.failure;
      io.err(`${error.code}  ${error.message}. ${readOn(name, error)}`);
    },
  };
  const max = wholeOption("--max", options.max, { min: 1, fallback: Infinity });
  await checkPlace(connection, name, request.partition);
  const decode = batchDecoder(topic, registry, clock);
  const known = sightOf(name, plans);
  const sight = options.personal === true ? await opened(io, connection, name, known) : known.sight;
  const show = printer(io, sight, options);
  let shown = 0;
  for await (const records of untilCut(readTopic(kafka, request), io))
    for (const record of await decode(records)) {
      if (options.key !== undefined && keyText(record) !== options.key) continue;
      show(record);
      if (++shown >= max || io.isCut?.() === true) return end;
    }
  return end;
}

function readOn(topic: string, { code, where, nextOffset }: BatchError): string {
  const raise = code === "MILL_BATCH_TOO_LARGE" ? "Raise the setting to read it, or read" : "Read";
  const at = `--partition ${String(where.partition)} --from ${String(nextOffset)}`;
  return `${raise} on behind it: npx millrace consume ${topic} ${at}`;
}

/** Once it is noted. */
async function opened(
  io: CliIo,
  { kafka, clock, topicDefaults }: Connection,
  name: string,
  { plans }: TopicSight,
): Promise<Sight> {
  if (plans.length === 0) io.err(`No pipeline has ${name}: nothing of it is masked, or noted.`);
  await withAdmin(kafka, async (admin) => {
    const ports = {
      kafka,
      admin,
      clock,
      ...(topicDefaults === undefined ? {} : { topicDefaults }),
    };
    for (const plan of plans)
      await auditPersonal({ io, plan, ports }, `consume ${name} --personal`, `topic ${name}`);
  });
  return { kind: "open" };
}

/** The batches, until nobody reads the output any more: the next record of a followed topic may never come. */
async function* untilCut<T>(batches: AsyncIterable<T>, { cut }: CliIo): AsyncGenerator<T> {
  const reading = batches[Symbol.asyncIterator]();
  const ended = cut?.then(() => null);
  for (;;) {
    const next = reading.next();
    const first = await (ended === undefined ? next : Promise.race([next, ended]));
    // The read under way ends with its client.
    if (first === null) return void next.catch(() => undefined);
    if (first.done === true) return;
    yield first.value;
  }
}

async function checkPlace(at: Connection, name: string, partition: number | null): Promise<void> {
  const partitions = await partitionsOf(at, name);
  if (partition !== null && partition >= partitions)
    throw new ConfigError("MILL_NOT_FOUND", `${name} has ${String(partitions)} partitions, from 0`);
}

const OTHER_PLACES = "earliest, latest, an offset";

function fromOf(text: string): From {
  if (text === "earliest" || text === "latest") return { kind: text };
  if (/^\d{1,18}$/.test(text)) return { kind: "offset", offset: BigInt(text) };
  return { kind: "time", epochMs: timeOption("--from", text, OTHER_PLACES) };
}

const keyText = ({ key }: DecodedRecord): string | null =>
  !key.ok || key.value === null
    ? null
    : typeof key.value === "string"
      ? key.value
      : jsonText(key.value);

function printer(
  io: CliIo,
  sight: Sight,
  options: ConsumeOptions,
): (record: DecodedRecord) => void {
  const print = options.json === true ? jsonLine : textLine;
  let isSaid = sight.kind === "open";
  return (record) => {
    if (!isSaid) io.err("Personal data is masked: --personal shows it, and who asks is noted.");
    isSaid = true;
    io.out(print(seen(record, sight)));
  };
}

/** A value that cannot be decoded is shown by its code and the reason, which quotes nothing. */
function seen(record: DecodedRecord, sight: Sight): DecodedRecord {
  if (sight.kind === "open") return record;
  const { raw, key, value } = record;
  const isWhole = sight.kind === "hidden";
  const isKeyHidden = isWhole || sight.isKeyHidden;
  const keyShown = raw.key === null ? null : keyHash(raw.key);
  return {
    raw,
    key: isKeyHidden && key.ok ? { ok: true, value: keyShown } : key,
    value: value.ok
      ? { ok: true, value: isWhole ? hidden(value.value) : masked(value.value, sight.paths) }
      : value,
  };
}

function jsonLine({ raw, key, value }: DecodedRecord): string {
  const problem = !key.ok ? key : !value.ok ? value : null;
  return jsonText({
    topic: raw.topic,
    partition: raw.partition,
    offset: Number(raw.offset),
    timestamp: raw.timestamp,
    key: key.ok ? key.value : null,
    value: value.ok ? value.value : null,
    ...(problem === null ? {} : { error: { code: problem.code, message: problem.message } }),
  });
}

/** "2@17  2026-01-05T11:53:26.000Z  o-1  {…}" */
function textLine(record: DecodedRecord): string {
  const { raw, key, value } = record;
  const place = `${String(raw.partition)}@${String(raw.offset)}`;
  const time = instantText(raw.timestamp);
  const keyShown = key.ok ? (keyText(record) ?? "(no key)") : `(${key.code})`;
  const valueShown = value.ok ? jsonText(value.value) : `(${value.code}  ${value.message})`;
  return [place, time, keyShown, valueShown].join("  ");
}
