// `millrace produce --file`: the rows of a file into a topic, each exactly once. Whatever ends the command, its message says how
// many records were sent and the command that goes on behind them.
import { ImportProducer } from "../data/import/import-producer.ts";
import { RejectFile } from "../data/import/reject-file.ts";
import { validRecords } from "../data/import/valid-records.ts";
import { keyedRows } from "../data/keyed-rows.ts";
import { STDIN, nameOf, problemTexts, type BadRow } from "../data/row.ts";
import { encoder, sendEncoded, type LineRecord } from "../data/send.ts";
import { MillraceError, detailOf } from "../engine/core/errors.ts";
import type { PlanTopic } from "../engine/core/plan.ts";
import { onStopSignal } from "../engine/runtime/host/signals.ts";
import { partitionsOf, type Connection } from "./connection.ts";
import { exitCodes, type CliIo } from "./io.ts";
import type { FileRequest } from "./produce-options.ts";
import { RefusedRows } from "./produce-refused.ts";
import { grouped, progress } from "./progress.ts";
import { writingCodecs } from "./topic-codecs.ts";

interface FileImport {
  readonly io: CliIo;
  readonly connection: Connection;
  readonly topic: PlanTopic;
  readonly request: FileRequest;
}

/** The state of an import, for its last message. */
class Sent {
  records = 0;
  /** The line of the last record that was sent. */
  line = 0;
  invalid = 0;
  /** The row at which the import stops. */
  stop: BadRow | null = null;
  isStopped = false;
}

export async function sendFile(at: FileImport): Promise<number> {
  const { connection, topic, request } = at;
  const { kafka, registry, clock, namespace } = connection;
  const partitions = await partitionsOf(connection, topic.name);
  const codecs = await writingCodecs(topic, registry);
  const rows = keyedRows(request.path, topic, request.key, request.fromLine);
  const path = request.path === STDIN ? null : request.path;
  const producer = new ImportProducer(kafka, { topic: topic.name, namespace, path });
  const sent = new Sent();
  const ignore = onStopSignal(() => (sent.isStopped = true));
  try {
    checkBegun(await producer.begin(kafka), request);
    const encode = encoder({ topic: topic.name, partitions, ...codecs }, clock);
    const valid = validRecords(rows, encode, policyOf(sent, request));
    return await sendRows(at, valid, { producer, sent });
  } finally {
    ignore();
    await producer.close();
  }
}

function checkBegun(nextLine: number | null, { path, fromLine, again, ...of }: FileRequest): void {
  if (nextLine === null || fromLine >= nextLine || again) return;
  throw new MillraceError(
    "MILL_IMPORT_BEGUN",
    `the lines of ${path} before ${String(nextLine)} are in ${of.topic}. To go on: ${of.commandFrom(nextLine)}. To send them once more, add --again`,
  );
}

function policyOf(sent: Sent, { onInvalid, fromLine }: FileRequest) {
  const rejects = onInvalid.path === null ? null : new RejectFile(onInvalid.path, fromLine);
  const onBad = (row: BadRow): boolean => {
    sent.invalid++;
    rejects?.add(row);
    const isOver = onInvalid.kind === "stop" || row.isLast;
    if (isOver) sent.stop = row;
    return !isOver;
  };
  return { onBad, isStopped: () => sent.isStopped };
}

async function sendRows(
  at: FileImport,
  records: AsyncIterable<LineRecord>,
  { producer, sent }: { readonly producer: ImportProducer; readonly sent: Sent },
): Promise<number> {
  const { io, connection, topic, request } = at;
  const { clock } = connection;
  const bar = progress(io, clock, { done: "sent", total: null });
  const startMs = clock.monotonic();
  const refused = new RefusedRows(topic.name);
  const options = {
    clock,
    perSecond: request.perSecond,
    onSent: (count: number, line: number | null) => {
      sent.records += count;
      sent.line = line ?? sent.line;
      bar.add(count);
    },
    onRefused: refused.add,
  };
  try {
    await sendEncoded(records, producer, options);
  } catch (error) {
    throw withNext(error, sent, request);
  } finally {
    bar.end();
  }
  sent.records -= refused.count;
  if (sent.stop !== null) throw stopped(sent.stop, sent, request);
  if (sent.isStopped) {
    io.err(`stopped: ${nextStep(sent, request)}`);
    return exitCodes.interrupted;
  }
  await producer.finish();
  report(at, sent, (clock.monotonic() - startMs) / 1000);
  refused.check();
  return exitCodes.ok;
}

function report({ io, topic, request }: FileImport, sent: Sent, seconds: number): void {
  const { records, invalid } = sent;
  if (request.json) return io.out(JSON.stringify({ topic: topic.name, records, invalid, seconds }));
  const where = request.onInvalid.path === null ? "skipped" : `in ${request.onInvalid.path}`;
  const others = invalid === 0 ? "" : `; ${grouped(invalid)} invalid rows ${where}`;
  io.out(`${grouped(records)} records sent to ${topic.name}${others}`);
}

const stopped = (row: BadRow, sent: Sent, request: FileRequest): MillraceError =>
  new MillraceError(
    "MILL_DATA_INVALID",
    `${nameOf(request.path)} ${problemTexts(row).join("; ")}. ${nextStep(sent, request)}. Every problem at once, before anything is sent: --check`,
  );

/** An error of the file or of Kafka, with the way on. */
function withNext(error: unknown, sent: Sent, request: FileRequest): unknown {
  if (!(error instanceof MillraceError)) return error;
  const { code, disposition, where } = error;
  const doubt = isDoubtful(error)
    ? "; the last batch may be in the topic too, then the command says the line behind it"
    : "";
  const detail = `${detailOf(error)}. ${nextStep(sent, request)}${doubt}`;
  return new MillraceError(code, detail, { cause: error, disposition, where });
}

const isDoubtful = ({ code }: MillraceError): boolean =>
  /^MILL_KAFKA_(UNAVAILABLE|UNKNOWN_OUTCOME)$/.test(code);

function nextStep({ records, line }: Sent, request: FileRequest): string {
  const { path, fromLine, commandFrom } = request;
  const next = line === 0 ? fromLine : line + 1;
  const way = path === STDIN ? `add --from-line ${String(next)}` : commandFrom(next);
  return line === 0
    ? `Nothing was sent. To begin again: ${way}`
    : `${grouped(records)} records were sent, of the lines up to ${String(line)}. To go on: ${way}`;
}
