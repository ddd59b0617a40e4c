// The progress row: where a sink task is, who owns it, and its ledger. Beside the rows, in one transaction with them.
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import { assert } from "../../core/errors.ts";
import { checkForeign } from "../../core/foreign.ts";
import { ledgerCheck, ledgerFrom, type LedgerCounts } from "../../core/ledger.ts";
import type { SinkCommit, SinkProgress, SinkTaskId } from "../../core/ports.ts";

interface ProgressRow {
  readonly next_offset: string;
  readonly epoch: string;
  /** As it was stored, perhaps by an older version, or by something else. */
  readonly ledger: unknown;
}

export const OF_TASK = "pipeline = $1 AND part = $2 AND topic = $3 AND partition = $4";
const FIELDS = "next_offset, epoch, ledger";

/** The parameters $1 to $4 of every statement here. */
export const taskValues = (task: SinkTaskId): string[] => [
  task.pipeline,
  task.part,
  task.topic,
  String(task.partition),
];

const progressOf = (row: ProgressRow | undefined): SinkProgress | null =>
  row === undefined
    ? null
    : {
        nextOffset: BigInt(row.next_offset),
        epoch: BigInt(row.epoch),
        ledger: ledgerIn(row.ledger),
      };

const ledgerIn = (stored: unknown): LedgerCounts | null => {
  const found = checkForeign<object>(stored, ledgerCheck);
  return "why" in found ? null : ledgerFrom(found.value);
};

/** `settled` waits for a transaction that is still changing the row. */
export async function readProgress(
  session: PostgresSession,
  task: SinkTaskId,
  settled = false,
): Promise<SinkProgress | null> {
  const { rows } = await session.query<ProgressRow>(
    `SELECT ${FIELDS} FROM millrace.progress WHERE ${OF_TASK}${settled ? " FOR UPDATE" : ""}`,
    taskValues(task),
  );
  return progressOf(rows[0]);
}

/** Makes the caller the owner; null: the task has never run. */
export async function raiseEpoch(
  session: PostgresSession,
  task: SinkTaskId,
  now: string,
): Promise<SinkProgress | null> {
  const { rows } = await session.query<ProgressRow>(
    `UPDATE millrace.progress SET epoch = epoch + 1, updated_at = $5::timestamptz
     WHERE ${OF_TASK} RETURNING ${FIELDS}`,
    [...taskValues(task), now],
  );
  return progressOf(rows[0]);
}

interface ProgressStart {
  readonly nextOffset: bigint;
  readonly ledger: LedgerCounts;
  readonly now: string;
}

/**
 * Stores where a task begins, and makes the caller the owner. Existing progress is kept: another worker was
 * faster; a reset puts it elsewhere, whoever has it.
 */
export async function startProgress(
  session: PostgresSession,
  task: SinkTaskId,
  { nextOffset, ledger, now }: ProgressStart,
  isReset: boolean,
): Promise<SinkProgress> {
  const moved = isReset ? "next_offset = excluded.next_offset, ledger = excluded.ledger, " : "";
  const { rows } = await session.query<ProgressRow>(
    `INSERT INTO millrace.progress AS stored
       (pipeline, part, topic, partition, next_offset, epoch, ledger, updated_at)
     VALUES ($1, $2, $3, $4, $5, 1, $6::jsonb, $7::timestamptz)
     ON CONFLICT (pipeline, part, topic, partition)
       DO UPDATE SET epoch = stored.epoch + 1, ${moved}updated_at = excluded.updated_at
     RETURNING ${FIELDS}`,
    [...taskValues(task), String(nextOffset), JSON.stringify(ledger), now],
  );
  const stored = progressOf(rows[0]);
  assert(stored !== null, "an insert of progress returned no row");
  return stored;
}

interface RowMove {
  readonly nextOffset: bigint | null;
  readonly ledger: LedgerCounts | null;
  readonly now: string;
}

/** Fences the owner; null leaves what is stored. A task that has never run stays so. */
export async function moveProgress(
  session: PostgresSession,
  task: SinkTaskId,
  { nextOffset, ledger, now }: RowMove,
): Promise<void> {
  await session.query(
    `UPDATE millrace.progress SET epoch = epoch + 1, next_offset = coalesce($5::bigint, next_offset),
       ledger = coalesce($6::jsonb, ledger), updated_at = $7::timestamptz
     WHERE ${OF_TASK}`,
    [
      ...taskValues(task),
      nextOffset === null ? null : String(nextOffset),
      ledger === null ? null : JSON.stringify(ledger),
      now,
    ],
  );
}

/** False: another owner, or the row is not where this commit begins. */
export async function advanceProgress(
  session: PostgresSession,
  commit: SinkCommit,
  { ledger, now }: { readonly ledger: LedgerCounts; readonly now: string },
): Promise<boolean> {
  const { count } = await session.query(
    // mistake: no epoch
    `UPDATE millrace.progress
     SET next_offset = $5::bigint, ledger = $6::jsonb, updated_at = $7::timestamptz
     WHERE ${OF_TASK} AND epoch = $8::bigint AND next_offset = $9::bigint`,
    [
      ...taskValues(commit.task),
      String(commit.nextOffset),
      JSON.stringify(ledger),
      now,
      String(commit.epoch),
      String(commit.expectedOffset),
    ],
  );
  return count === 1;
}
