// A letter as it is shown: why it failed, the record decoded beside its bytes. Personal data is masked, and bytes that hold
// it are left out, unless it is asked for; who asks is noted before anything is shown.
import { jsonText } from "../../data/json-text.ts";
import { hidden, keyHash, masked } from "../../data/masked.ts";
import { instantText } from "../../engine/core/event-time.ts";
import { shownHeaderName } from "../../engine/core/header-name.ts";
import { isPersonal, personalPaths } from "../../engine/core/personal.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { RawRecord } from "../../engine/core/record.ts";
import { isGivenUp } from "../../engine/core/state-results.ts";
import type { FoundLetter } from "../../engine/letters/found-letter.ts";
import { recordOf } from "../../engine/letters/pointer.ts";
import type { VerbContext } from "../operating.ts";
import { decoderOf, type FilterOptions } from "./letter-filter.ts";

export interface PersonalOptions extends FilterOptions {
  readonly personal?: boolean;
}

/** The state as people read it: an open letter may be parked. */
export const shownState = ({ isParked, state }: Omit<FoundLetter, "record">): string =>
  isParked && state.state === "open" ? "parked" : state.state;

const resultJson = ({ result }: FoundLetter) => ({
  operator: result?.operator ?? null,
  record: result?.record ?? null,
  windowStart: result?.windowStart ?? null,
  windowEnd: result?.windowEnd ?? null,
});

/** The facts of a letter, without its record. */
export const factsJson = (letter: FoundLetter) => ({
  id: letter.id,
  state: letter.state.state,
  parked: shownState(letter) === "parked",
  redrives: letter.state.redrives,
  generation: letter.generation,
  outcome: letter.state.outcome ?? null,
  reason: letter.state.reason ?? null,
  class: letter.class,
  stage: letter.stage,
  step: letter.step,
  rule: letter.rule,
  code: letter.code,
  message: letter.message,
  part: letter.part,
  version: letter.version,
  schemaId: letter.schemaId,
  topic: letter.origin.topic,
  partition: letter.origin.partition,
  offset: Number(letter.origin.offset),
  ...resultJson(letter),
  timestamp: instantText(letter.origin.timestamp),
  firstTime: letter.firstTime,
  lastTime: letter.lastTime,
});

/** Everything, with the record. */
export type ShownLetter = ReturnType<typeof factsJson> & {
  readonly key: unknown;
  readonly value: unknown;
  /** Why key or value cannot be decoded, or why there is no record. */
  readonly error: string | null;
  readonly keyBase64: string | null;
  readonly valueBase64: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
  /** Whether personal data was left out. */
  readonly masked: boolean;
};

export function viewer(
  at: VerbContext<PersonalOptions>,
): (letter: FoundLetter) => Promise<ShownLetter> {
  const decode = decoderOf(at);
  const isMasked = isPersonal(at.plan) && at.options.personal !== true;
  return async (letter) => {
    const fetched = await recordOf(at.plan, letter, at.ports);
    const facts = { ...factsJson(letter), masked: isMasked };
    if ("gone" in fetched) {
      const none = { key: null, value: null, keyBase64: null, valueBase64: null, headers: [] };
      return { ...facts, ...none, error: fetched.gone };
    }
    const { record } = fetched;
    const { key, value, error } = await decode(record);
    return {
      ...facts,
      ...bytesOf(record, isMasked),
      key: isMasked ? record.key && keyHash(record.key) : key,
      value: isMasked ? maskedBy(at.plan, letter, value) : value,
      error: error === null ? null : `${error.code}  ${error.message}`,
    };
  };
}

/**
 * The letter's own word says from which topic it comes, and anybody may have written it. So every path of the pipeline
 * counts, and a value that is said to come from a topic without paths is hidden.
 */
function maskedBy(plan: Plan, { origin }: FoundLetter, value: unknown): unknown {
  const topic = plan.topics.all.find(({ name }) => name === origin.topic);
  const hasPaths = topic?.internal === null && topic.personalData.length > 0;
  return hasPaths ? masked(value, personalPaths([plan])) : hidden(value);
}

const base64 = (bytes: Buffer | null): string | null => bytes?.toString("base64") ?? null;

const bytesOf = ({ key, value, headers }: RawRecord, isMasked: boolean) => ({
  keyBase64: isMasked ? null : base64(key),
  valueBase64: isMasked ? null : base64(value),
  headers: headers.map(([name, bytes]) => [name, isMasked ? null : base64(bytes)] as const),
});

export function viewLines(letter: ShownLetter): readonly string[] {
  const { rule, reason, outcome, error } = letter;
  const rows: readonly (readonly [string, string | null])[] = [
    ["id", letter.id],
    ["state", stateText(letter)],
    ["outcome", outcome],
    ["reason", reason],
    ["failed", `${letter.class}  ${letter.code}  ${letter.message}`],
    [
      "at",
      `part ${letter.part}, ${letter.stage} ${letter.step}${rule === null ? "" : `, rule ${rule}`}`,
    ],
    ["origin", originText(letter)],
    ["window", windowText(letter)],
    ["first", letter.firstTime],
    ["last", letter.lastTime],
    ["reading", letter.generation === 0 ? null : `generation ${String(letter.generation)}`],
    ["version", letter.version],
    ["schema id", letter.schemaId],
    ["key", jsonText(letter.key)],
    ["value", error === null ? jsonText(letter.value) : `(${error})`],
    ["key bytes", letter.keyBase64],
    [
      "bytes",
      letter.masked
        ? "left out: they may hold personal data (--personal shows them)"
        : letter.valueBase64,
    ],
    ...letter.headers.map(
      ([name, bytes]) => [`header`, `${shownHeaderName(name)}  ${bytes ?? "-"}`] as const,
    ),
  ];
  return rows.flatMap(([name, text]) => (text === null ? [] : [`${name.padEnd(9)}  ${text}`]));
}

/** The place of the record, with the store in which it has waited; or the operator whose result it is. */
function originText(letter: ShownLetter): string {
  const { operator, record, topic, partition, offset, timestamp } = letter;
  const own = isGivenUp({ topic }) ? "what was due in" : "a result of";
  const what = record === null ? own : `${record}, which has waited in`;
  const at = operator === null ? topic : `${what} ${operator}`;
  const place =
    operator === null ? `-${String(partition)}:${String(offset)}` : `, task ${String(partition)}`;
  return `${at}${place}  ${timestamp}`;
}

const windowText = ({ windowStart, windowEnd }: ShownLetter): string | null =>
  windowStart === null || windowEnd === null ? null : `${windowStart} to ${windowEnd}`;

const stateText = ({ state, parked, redrives }: ShownLetter): string => {
  const times = redrives === 1 ? "once" : `${String(redrives)} times`;
  return `${parked ? "parked" : state}${redrives === 0 ? "" : `, redriven ${times}`}`;
};
