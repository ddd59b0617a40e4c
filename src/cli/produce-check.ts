// `millrace produce --file … --check`: every problem of a file in one pass. It needs no server and sends nothing.
import { validRecords } from "../data/import/valid-records.ts";
import { keyedRows } from "../data/keyed-rows.ts";
import { nameOf, problemTexts, type BadRow } from "../data/row.ts";
import { encoder } from "../data/send.ts";
import { MillraceError } from "../engine/core/errors.ts";
import type { PlanTopic } from "../engine/core/plan.ts";
import { systemClock } from "../engine/runtime/host/system.ts";
import { exitCodes, type CliIo } from "./io.ts";
import type { FileRequest } from "./produce-options.ts";
import { grouped, progress } from "./progress.ts";
import { uncheckedCodecs } from "./topic-codecs.ts";

export async function checkFile(
  io: CliIo,
  topic: PlanTopic,
  request: FileRequest,
): Promise<number> {
  const { path, key, fromLine, json } = request;
  const bad: BadRow[] = [];
  const onBad = (row: BadRow): boolean => {
    bad.push(row);
    if (!json) for (const text of problemTexts(row)) io.out(text);
    return true;
  };
  const target = { topic: topic.name, partitions: topic.partitions, ...uncheckedCodecs(topic) };
  const rows = keyedRows(path, topic, key, fromLine);
  const bar = progress(io, systemClock, { done: "checked", total: null });
  const policy = { onBad, isStopped: () => false };
  let valid = 0;
  try {
    const records = validRecords(rows, encoder(target, systemClock), policy);
    while ((await records.next()).done !== true) {
      valid++;
      bar.add(1);
    }
  } finally {
    bar.end();
  }
  if (json) io.out(JSON.stringify(resultOf(topic.name, valid, bad)));
  if (bad.length > 0)
    throw new MillraceError(
      "MILL_DATA_INVALID",
      `${nameOf(path)}: ${grouped(bad.length)} of ${grouped(valid + bad.length)} rows are invalid, nothing was sent`,
    );
  if (!json) io.out(`${grouped(valid)} rows are records of ${topic.name}; nothing was sent`);
  return exitCodes.ok;
}

const resultOf = (topic: string, valid: number, bad: readonly BadRow[]): object => ({
  topic,
  valid,
  invalid: bad.length,
  problems: bad.flatMap(({ line, problems }) =>
    problems.map(({ field, message }) => ({ line, column: field, reason: message })),
  ),
});
