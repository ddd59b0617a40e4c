// Everything that commands write about a pipeline's letters goes through one transactional id: each command ends what
// an earlier one left open and fences it, so two commands never deal with the same letter. And the notes of commands:
// the running job, the wish that it end, who has looked at personal data.
import { sendOnce } from "../../core/send-once.ts";
import type { TxProducer } from "../../core/kafka.ts";
import { hasLetters, makeStates } from "../../core/late-topics.ts";
import type { Plan } from "../../core/plan.ts";
import { parseKnown, type Check } from "../../core/foreign.ts";
import type { OutRecord, TopicName } from "../../core/record.ts";
import { noteChecks } from "../../notes/kinds.ts";
import { noteRecord, type Notes } from "../../notes/notes.ts";
import type { LetterPorts } from "../read-letters.ts";

const TIMEOUT_MS = 60_000;

const operatorOf = ({ namespace, pipeline }: Plan, { kafka }: LetterPorts): TxProducer =>
  kafka.txProducer({
    transactionalId: `${namespace}millrace-${pipeline}-letters`,
    timeoutMs: TIMEOUT_MS,
  });

/** No command that has begun can write from now on. */
export async function endOperators(plan: Plan, ports: LetterPorts): Promise<void> {
  const producer = operatorOf(plan, ports);
  await producer.init().finally(() => producer.close());
}

/**
 * Runs `work` after all that earlier commands have written: none of them can write once it has begun. The topic of states
 * is there then, if any letter is; `letters` are topics whose letters count too.
 */
export async function asOperator<P extends LetterPorts, T>(
  plan: Plan,
  ports: P,
  work: (producer: TxProducer, ports: P) => Promise<T>,
  letters: readonly TopicName[] = [],
): Promise<T> {
  const producer = operatorOf(plan, ports);
  try {
    await producer.init();
    const topics = [plan, ...letters.map((deadLetters) => ({ ...plan, deadLetters }))];
    const hasStates = (await Promise.all(topics.map((of) => hasLetters(of, ports)))).includes(true);
    if (hasStates) await makeStates(plan, ports);
    return await work(producer, { ...ports, hasStates });
  } finally {
    // An open transaction ends with the next command's init, or in time; the first failure is the one to report.
    await producer.close().catch(() => undefined);
  }
}

/** All of them, or none. */
export async function writeAll(producer: TxProducer, records: readonly OutRecord[]): Promise<void> {
  producer.begin();
  await producer.send(records);
  await producer.commit();
}

const BATCH_RECORDS = 1_000;
const BATCH_BYTES = 8_000_000;

/** Writes any number of records, some at a time; what is added together is written together. */
export class BatchWriter {
  readonly #producer: TxProducer;
  #records: OutRecord[] = [];
  #bytes = 0;
  /** The number of records that are written. */
  written = 0;

  constructor(producer: TxProducer) {
    this.#producer = producer;
  }

  async add(...records: readonly OutRecord[]): Promise<void> {
    this.#records.push(...records);
    for (const { value } of records) this.#bytes += value?.length ?? 0;
    if (this.#records.length >= BATCH_RECORDS || this.#bytes >= BATCH_BYTES) await this.end();
  }

  async end(): Promise<void> {
    if (this.#records.length === 0) return;
    await writeAll(this.#producer, this.#records);
    this.written += this.#records.length;
    this.#records = [];
    this.#bytes = 0;
  }
}

const JOB = "job";
const CANCEL = "cancel";
const AUDIT = "audit/";

export interface Job {
  readonly job: string;
  readonly state: "running" | "done" | "cancelled";
  readonly chosen: number;
  readonly sent: number;
  readonly startedMs: number;
  readonly atMs: number;
}

export const jobRecord = ({ letterStates }: Plan, job: Job): OutRecord =>
  noteRecord(letterStates, JOB, JSON.stringify(job));

/** The last one. A running one whose command was killed says so for ever. */
export const jobIn = (notes: Notes): Job | null => parsed<Job>(notes.get(JOB), noteChecks.job);

export const isCancelled = (notes: Notes, job: string): boolean => notes.get(CANCEL) === job;

/** The job looks at it before it sends on. Says which job that is, or null when none runs. */
export async function cancelJob(
  plan: Plan,
  notes: Notes,
  { kafka }: LetterPorts,
): Promise<Job | null> {
  const job = jobIn(notes);
  if (job?.state !== "running") return null;
  await sendOnce(kafka, [noteRecord(plan.letterStates, CANCEL, job.job)]);
  return job;
}

/** An act that must be known: somebody looked at personal data, or discarded letters. */
export interface Audit {
  readonly atMs: number;
  readonly who: string;
  readonly command: string;
  readonly letters: number;
  readonly reason?: string;
}

export const auditRecord = ({ letterStates }: Plan, audit: Audit, token: string): OutRecord =>
  noteRecord(
    letterStates,
    `${AUDIT}${new Date(audit.atMs).toISOString()}-${token}`,
    JSON.stringify(audit),
  );

/** The newest first. */
export const auditsIn = (notes: Notes): Audit[] =>
  [...notes]
    .flatMap(([key, text]) =>
      key.startsWith(AUDIT) ? (parsed<Audit>(text, noteChecks.audit) ?? []) : [],
    )
    .sort((a, b) => b.atMs - a.atMs);

const parsed = <T>(text: string | undefined, check: Check): T | null =>
  text === undefined ? null : parseKnown<T>(text, check);
