// A letter as it is shown: why it failed, the record decoded beside its bytes. Personal data is masked, and bytes that hold
// it are left out, unless it is asked for; who asks is noted before anything is shown.
import { makeStates } from "../../engine/core/late-topics.ts";
import { sendOnce } from "../../engine/core/send-once.ts";
import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { jsonText, masked } from "../../data/json-text.ts";
import { instantText } from "../../engine/core/event-time.ts";
import { shownHeaderName } from "../../engine/core/header-name.ts";
import type { RawRecord } from "../../engine/core/record.ts";
import type { FoundLetter } from "../../engine/letters/found-letter.ts";
import { auditRecord } from "../../engine/letters/commands/operator.ts";
import { recordOf } from "../../engine/letters/pointer.ts";
import type { VerbContext } from "../operating.ts";
import { decoderOf, type FilterOptions } from "./letter-filter.ts";

export interface PersonalOptions extends FilterOptions {
  readonly personal?: boolean;
}

/** The state as people read it: an open letter may be parked. */
export const shownState = ({ isParked, state }: Omit<FoundLetter, "record">): string =>
  isParked && state.state === "open" ? "parked" : state.state;

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
  return async (letter) => {
    const fetched = await recordOf(letter, at.ports);
    const { personalData = [] } =
      at.plan.topics.all.find(({ name }) => name === letter.origin.topic) ?? {};
    const isMasked = personalData.length > 0 && at.options.personal !== true;
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
      key,
      value: isMasked ? masked(value, personalData) : value,
      error: error === null ? null : `${error.code}  ${error.message}`,
    };
  };
}

const base64 = (bytes: Buffer | null): string | null => bytes?.toString("base64") ?? null;

const bytesOf = ({ key, value, headers }: RawRecord, isMasked: boolean) => ({
  keyBase64: base64(key),
  valueBase64: isMasked ? null : base64(value),
  headers: headers.map(([name, bytes]) => [name, isMasked ? null : base64(bytes)] as const),
});

export function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A user without a name, as in containers.
    return `${String(process.getuid?.() ?? "unknown")}@${hostname()}`;
  }
}

export const newToken = (): string => randomUUID().slice(0, 8);

/** Notes who looks at personal data, before they see it. */
export async function auditPersonal(
  { io, plan, ports }: Pick<VerbContext<unknown>, "io" | "plan" | "ports">,
  command: string,
  letters: number,
  of = `${String(letters)} letters`,
): Promise<void> {
  const who = whoAmI();
  const audit = { atMs: ports.clock.now(), who, command: `${command} --personal`, letters };
  await makeStates(plan, ports);
  await sendOnce(ports.kafka, [auditRecord(plan, audit, newToken())]);
  io.err(`Noted in ${plan.letterStates}: ${who} looks at personal data of ${of}.`);
}

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
    [
      "origin",
      `${letter.topic}-${String(letter.partition)}:${String(letter.offset)}  ${letter.timestamp}`,
    ],
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
        ? "left out: they hold personal data (--personal shows them)"
        : letter.valueBase64,
    ],
    ...letter.headers.map(
      ([name, bytes]) => [`header`, `${shownHeaderName(name)}  ${bytes ?? "-"}`] as const,
    ),
  ];
  return rows.flatMap(([name, text]) => (text === null ? [] : [`${name.padEnd(9)}  ${text}`]));
}

const stateText = ({ state, parked, redrives }: ShownLetter): string => {
  const times = redrives === 1 ? "once" : `${String(redrives)} times`;
  return `${parked ? "parked" : state}${redrives === 0 ? "" : `, redriven ${times}`}`;
};
