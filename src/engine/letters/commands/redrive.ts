// The driver of a redrive: sends letters back to the tasks that refused them, in transactions of its own. A record in the
// redrive topic and the letter's new state are decided together, so a driver that is killed and run again goes on where
// it was, and none is sent twice.
import { RecordsRefusedError, refusalText } from "../../core/errors.ts";
import type { TxProducer } from "../../core/kafka.ts";
import { makeRedrive } from "../../core/late-topics.ts";
import { reads } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import type { OutRecord, RawRecord } from "../../core/record.ts";
import { redriveHeaders, stateRecord, type RedriveOrder } from "../../core/redrive.ts";
import { operatorOfResults } from "../../core/state-results.ts";
import { gateIsShut, readGate } from "../../notes/gate-note.ts";
import { NoteTail } from "../../notes/notes.ts";
import type { FoundLetter } from "../found-letter.ts";
import { asOperator, isCancelled, jobRecord, writeAll, type Job } from "./operator.ts";
import { recordOf } from "../pointer.ts";
import { sealOf } from "../redrives/proofs.ts";
import { readLetters, type LetterPorts } from "../read-letters.ts";

export interface RedriveRequest {
  readonly job: string;
  /** Among letters that are open: whoever is on its way back, or was, is never sent again. */
  isChosen(letter: Omit<FoundLetter, "record">): boolean;
  /** A letter that fails again after so many redrives is parked. */
  readonly redrivesMax: number;
  /** Null: as fast as it goes. */
  readonly ratePerS: number | null;
  /** The redrive topic was made: the workers have yet to see it. */
  onMade?(): void;
  onBegin?(chosen: number): void;
  onSent?(letters: number): void;
}

export interface RefusedRedrive {
  readonly letter: FoundLetter;
  readonly why: string;
}

export interface RedriveResult {
  readonly job: string;
  /** In the order in which they were sent, with the redrives that each now has. */
  readonly sent: readonly FoundLetter[];
  /** Still open. */
  readonly refused: readonly RefusedRedrive[];
  readonly isCancelled: boolean;
}

export const REDRIVES_MAX = 3;

/** Why the letter cannot go back, or null. */
export function refusalOf({ parts }: Plan, { part: name, origin }: FoundLetter): string | null {
  const part = parts.find((one) => one.name === name);
  if (part === undefined) return `the pipeline has no part ${name} any more`;
  if (!reads(part, origin.topic)) {
    const operator = operatorOfResults(origin.topic);
    return operator === null
      ? `part ${name} does not read ${origin.topic} any more`
      : `part ${name} has no operator ${operator} any more`;
  }
  return origin.partition < part.partitions ? null : `part ${name} has no such partition any more`;
}

/** Plans a redrive: the letters that it would send, and those that it refuses; changes nothing. */
export async function planRedrive(
  plan: Plan,
  { isChosen }: Pick<RedriveRequest, "isChosen">,
  ports: LetterPorts,
): Promise<{
  readonly chosen: readonly FoundLetter[];
  readonly refused: readonly RefusedRedrive[];
  /** The generation in which they would be sent. */
  readonly generation: number;
}> {
  const isWanted = (letter: Omit<FoundLetter, "record">): boolean =>
    letter.state.state === "open" && isChosen(letter);
  const { letters, lineage } = await readLetters(plan, ports, isWanted);
  const wanted = letters.filter(isWanted);
  const refused = wanted.flatMap((letter) => {
    const why = refusalOf(plan, letter);
    return why === null ? [] : [{ letter, why }];
  });
  const out = new Set(refused.map(({ letter }) => letter));
  const chosen = wanted.filter((letter) => !out.has(letter));
  return { chosen, refused, generation: lineage.current };
}

export function redrive(
  plan: Plan,
  request: RedriveRequest,
  ports: LetterPorts,
): Promise<RedriveResult> {
  return asOperator(plan, ports, async (producer, made) => {
    // Behind the init: now nobody else can send any of them, and whoever shuts the gate later fences this command.
    const gate = await readGate(plan, ports);
    if (gate !== null && gate.state !== "halted") throw gateIsShut(plan, gate);
    if (!made.hasStates) return { job: request.job, sent: [], refused: [], isCancelled: false };
    const planned = await planRedrive(plan, request, made);
    const { length } = planned.chosen;
    if (length > 0 && (await makeRedrive(plan, ports))) request.onMade?.();
    request.onBegin?.(length);
    return new Drive(plan, request, made, producer, planned).run();
  });
}

const BATCH_LETTERS = 500;
const BATCH_BYTES = 8_000_000;

class Drive {
  readonly #plan: Plan;
  readonly #request: RedriveRequest;
  readonly #ports: LetterPorts;
  readonly #producer: TxProducer;
  readonly #chosen: readonly FoundLetter[];
  readonly #generation: number;
  readonly #notes: NoteTail;
  /** By the wall clock; the pace is measured from `#begunMs`, by the monotonic one. */
  readonly #startedMs: number;
  readonly #begunMs: number;
  readonly #sent: FoundLetter[] = [];
  readonly #refused: RefusedRedrive[] = [];

  constructor(
    plan: Plan,
    request: RedriveRequest,
    ports: LetterPorts,
    producer: TxProducer,
    { chosen, refused, generation }: Awaited<ReturnType<typeof planRedrive>>,
  ) {
    this.#plan = plan;
    this.#request = request;
    this.#ports = ports;
    this.#producer = producer;
    this.#chosen = chosen;
    this.#generation = generation;
    this.#refused.push(...refused);
    this.#notes = new NoteTail(ports, plan.letterStates);
    this.#startedMs = ports.clock.now();
    this.#begunMs = ports.clock.monotonic();
  }

  async run(): Promise<RedriveResult> {
    const { job } = this.#request;
    let isEnded = false;
    await writeAll(this.#producer, [this.#jobRecord("running")]);
    for (let at = 0; at < this.#chosen.length && !isEnded;) {
      const batch = this.#batchFrom(at);
      at += batch.length;
      await this.#send(batch);
      await this.#pace();
      isEnded = isCancelled(await this.#notes.look(), job);
    }
    await writeAll(this.#producer, [this.#jobRecord(isEnded ? "cancelled" : "done")]);
    return { job, sent: this.#sent, refused: this.#refused, isCancelled: isEnded };
  }

  /** At a rate at least two batches a second, so that a wish to end is soon seen. */
  #batchFrom(from: number): readonly FoundLetter[] {
    const chosen = this.#chosen;
    const { ratePerS } = this.#request;
    const most = ratePerS === null ? BATCH_LETTERS : Math.max(1, Math.ceil(ratePerS / 2));
    let bytes = 0;
    let to = from;
    while (to < chosen.length && to - from < Math.min(most, BATCH_LETTERS) && bytes < BATCH_BYTES)
      bytes += chosen[to++]?.record?.value?.length ?? 0;
    return chosen.slice(from, to);
  }

  async #send(batch: readonly FoundLetter[]): Promise<void> {
    const records: OutRecord[] = [];
    const sent: FoundLetter[] = [];
    for (const letter of batch) {
      const fetched = await recordOf(this.#plan, letter, this.#ports);
      if ("gone" in fetched) {
        this.#refused.push({ letter, why: fetched.gone });
        continue;
      }
      const { record, state } = this.#order(letter, fetched.record);
      records.push(record, state);
      const generation = this.#generation;
      sent.push({ ...letter, redrives: letter.redrives + 1, generation });
    }
    const count = await this.#write(sent, records);
    this.#request.onSent?.(count);
  }

  /**
   * Everything of a batch, or nothing: a letter on its way back is never still open. Without letters that Kafka refuses;
   * returns how many went.
   */
  async #write(letters: readonly FoundLetter[], records: readonly OutRecord[]): Promise<number> {
    this.#sent.push(...letters);
    try {
      await writeAll(this.#producer, [...records, this.#jobRecord("running")]);
      return letters.length;
    } catch (error) {
      // A letter and its state are neighbours; the job behind them is no letter's fault.
      const isOurs = error instanceof RecordsRefusedError;
      if (!isOurs || error.refused.some(({ index }) => index >= records.length)) throw error;
      await this.#producer.abort();
      this.#sent.length -= letters.length;
      const whys = new Map(error.refused.map((one) => [one.index >> 1, refusalText([one])]));
      for (const [at, why] of whys) this.#refused.push({ letter: letters[at] as FoundLetter, why });
      const left = letters.filter((_, at) => !whys.has(at));
      return this.#write(
        left,
        records.filter((_, index) => !whys.has(index >> 1)),
      );
    }
  }

  #order(
    { id, part, origin, originMs, redrives, firstTime, readIn }: FoundLetter,
    { key, value, headers }: RawRecord,
  ): { readonly record: OutRecord; readonly state: OutRecord } {
    const { redrive: topic, letterStates } = this.#plan;
    const { job, redrivesMax } = this.#request;
    const atMs = this.#ports.clock.now();
    const again = redrives + 1;
    const generation = this.#generation;
    const order: RedriveOrder = {
      ...{ id, part, origin, redrivesMax, firstTime, job, redrives: again },
      ...(originMs === null ? {} : { originMs }),
      ...(generation === 0 ? {} : { generation }),
      ...(readIn === null ? {} : { readIn }),
    };
    const record: OutRecord = {
      ...{ topic, partition: origin.partition, key, value, timestamp: atMs },
      headers: [...headers, ...redriveHeaders(order)],
    };
    const seal = sealOf(record);
    const state = { state: "redriven", redrives: again, atMs, job, seal } as const;
    return { record, state: stateRecord(letterStates, { id, generation }, state) };
  }

  #jobRecord(state: Job["state"]): OutRecord {
    const { job } = this.#request;
    const [chosen, sent] = [this.#chosen.length, this.#sent.length];
    const [startedMs, atMs] = [this.#startedMs, this.#ports.clock.now()];
    return jobRecord(this.#plan, { job, state, chosen, sent, startedMs, atMs });
  }

  async #pace(): Promise<void> {
    const { ratePerS } = this.#request;
    const { clock } = this.#ports;
    if (ratePerS === null) return;
    const leftMs = this.#begunMs + (this.#sent.length * 1_000) / ratePerS - clock.monotonic();
    if (leftMs > 0) await clock.sleep(leftMs);
  }
}
