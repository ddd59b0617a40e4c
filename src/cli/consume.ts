// `millrace consume`: the committed records of a topic, decoded, one a line. Ends where the topic ended when it
// began, unless it follows. Personal data is masked unless asked for; what cannot be decoded is shown as its error.
import { jsonText, masked } from "../data/json-text.ts";
import { readTopic, type From } from "../data/read.ts";
import { ConfigError } from "../engine/core/errors.ts";
import { instantText } from "../engine/core/event-time.ts";
import type { Plan, PlanTopic } from "../engine/core/plan.ts";
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
      .option("--personal", "show personal data instead of masking it")
      .option("--json", "print one JSON object a record")
      .description("show the committed records of a topic, decoded")
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
  const request = {
    topic: name,
    partition: wholeOption("--partition", options.partition, { min: 0, fallback: null }),
    from: fromOf(options.from),
    isFollowing: options.follow === true,
  };
  const max = wholeOption("--max", options.max, { min: 1, fallback: Infinity });
  await checkPlace(connection, name, request.partition);
  const decode = batchDecoder(topic, registry, clock);
  const show = printer(io, topic, options);
  let shown = 0;
  for await (const records of untilCut(readTopic(kafka, request), io))
    for (const record of await decode(records)) {
      if (options.key !== undefined && keyText(record) !== options.key) continue;
      show(record);
      if (++shown >= max || io.isCut?.() === true) return exitCodes.ok;
    }
  return exitCodes.ok;
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
  topic: PlanTopic | null,
  options: ConsumeOptions,
): (record: DecodedRecord) => void {
  const paths = options.personal === true ? [] : (topic?.personalData ?? []);
  const print = options.json === true ? jsonLine : textLine;
  return (record) => {
    const { value } = record;
    const shown = value.ok ? { ...value, value: masked(value.value, paths) } : value;
    io.out(print({ ...record, value: shown }));
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
