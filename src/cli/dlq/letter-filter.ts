// The letters that the options of a verb of `millrace dlq` choose, and their records as people read them.
import type { Command } from "commander";
import { jsonText } from "../../data/json-text.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { RawRecord } from "../../engine/core/record.ts";
import type { LetterStateName } from "../../engine/core/redrive.ts";
import {
  formOfResults,
  sourceOfGivenUp,
  sourceOfResults,
} from "../../engine/core/state-results.ts";
import { isChosen, matches, type LetterFilter } from "../../engine/letters/filter.ts";
import type { FoundLetter } from "../../engine/letters/found-letter.ts";
import { readLetters } from "../../engine/letters/read-letters.ts";
import type { VerbContext } from "../operating.ts";
import { timeOption, wholeOption, wrongOption } from "../option-values.ts";
import { batchDecoder, type DecodedRecord } from "../topic-codecs.ts";

export interface FilterOptions {
  readonly class?: string;
  readonly step?: string;
  readonly rule?: string;
  readonly code?: string;
  readonly part?: string;
  readonly state?: string;
  readonly since?: string;
  readonly until?: string;
  readonly key?: string;
  readonly origin?: string;
  readonly id?: readonly string[];
  readonly generation?: string;
}

export const filtered = (command: Command): Command =>
  command
    .option("--class <class>", "decode, schema, rule, transform, sink, size or result")
    .option("--step <step>", "the operator, topic or table at which it failed")
    .option("--rule <rule>", "the rule that did not hold")
    .option("--code <code>", "the error's code")
    .option("--part <part>", "the part that refused it")
    .option("--since <time>", "failed last at this time or later")
    .option("--until <time>", "failed last before this time")
    .option("--key <key>", "the record's key, decoded")
    .option(
      "--origin <place>",
      "where the record was read: topic, topic-partition or topic-partition:offset",
    )
    .option("--id <id...>", "ids, or how they begin");

const states = ["open", "redriven", "resolved", "discarded", "over"] as const;
const isState = (text: string): text is LetterStateName =>
  (states as readonly string[]).includes(text);

function statesOf(text: string | undefined): readonly LetterStateName[] | null {
  if (text === undefined) return null;
  const named = text.split(",").filter(isState);
  if (named.length === text.split(",").length) return named;
  throw wrongOption("--state", states.join(", "), text);
}

export function filterOf(plan: Plan, options: FilterOptions): LetterFilter {
  const timeOf = (name: string, text: string | undefined): number | null =>
    text === undefined ? null : timeOption(name, text, "");
  return {
    class: options.class ?? null,
    step: options.step ?? null,
    rule: options.rule ?? null,
    code: options.code ?? null,
    part: options.part ?? null,
    states: statesOf(options.state),
    sinceMs: timeOf("--since", options.since),
    untilMs: timeOf("--until", options.until),
    origin: originOf(plan, options.origin),
    ids: options.id ?? null,
    parked: null,
  };
}

function originOf({ parts }: Plan, text: string | undefined): LetterFilter["origin"] {
  if (text === undefined) return null;
  const topics = new Set(
    parts.flatMap(({ sources, nodes }) => [
      ...sources.map(({ name }) => name),
      ...nodes.flatMap(({ name }) => [sourceOfResults(name), sourceOfGivenUp(name)]),
    ]),
  );
  if (topics.has(text)) return { topic: text, partition: null, offset: null };
  const [, topic = text, partition = null, offset = null] =
    /^(.+)-(\d{1,9})(?::(\d{1,18}))?$/.exec(text) ?? [];
  return {
    topic,
    partition: partition === null ? null : Number(partition),
    offset: offset === null ? null : BigInt(offset),
  };
}

/** The generation that letters are looked at from; undefined: the last one. */
export const generationOf = ({ generation }: FilterOptions): number | undefined =>
  wholeOption("--generation", generation, { min: 0, fallback: null }) ?? undefined;

type Choice = (letter: Omit<FoundLetter, "record">) => boolean;

/** The letters that the options choose. A key is known only once it is decoded, so `--key` reads the letters for it. */
export async function choiceOf(
  at: VerbContext<FilterOptions>,
  filter: LetterFilter,
): Promise<Choice> {
  const { key } = at.options;
  if (key === undefined) return (letter) => isChosen(letter, filter);
  const keep = (letter: Omit<FoundLetter, "record">): boolean => matches(letter, filter);
  const { letters } = await readLetters(at.plan, at.ports, keep, generationOf(at.options));
  const decode = decoderOf(at);
  const ids = new Set<string>();
  for (const { id, record } of letters)
    if (record !== null && (await decode(record)).keyText === key) ids.add(id);
  return (letter) => ids.has(letter.id) && isChosen(letter, filter);
}

/** A record as people read it, or why it cannot be. */
export interface Readable {
  readonly key: unknown;
  readonly keyText: string | null;
  readonly value: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Decodes records of any topic of the plan. */
export function decoderOf({
  plan,
  connection,
}: Pick<VerbContext<unknown>, "plan" | "connection">): (raw: RawRecord) => Promise<Readable> {
  const { registry, clock } = connection;
  const decoders = new Map<string, ReturnType<typeof batchDecoder>>();
  return async (raw) => {
    const named = plan.topics.all.find(({ name }) => name === raw.topic);
    const topic = named ?? formOfResults(plan, raw.topic);
    const decode = decoders.get(raw.topic) ?? batchDecoder(topic, registry, clock);
    decoders.set(raw.topic, decode);
    const [decoded] = await decode([raw]);
    return decoded === undefined ? nothingReadable : readableOf(decoded);
  };
}

const nothingReadable: Readable = { key: null, keyText: null, value: null, error: null };

function readableOf({ key, value }: DecodedRecord): Readable {
  const keyShown = key.ok ? key.value : null;
  const failed = [key, value].find((side) => !side.ok);
  return {
    key: keyShown,
    keyText: keyShown === null || typeof keyShown === "string" ? keyShown : jsonText(keyShown),
    value: value.ok ? value.value : null,
    error: failed?.ok === false ? { code: failed.code, message: failed.message } : null,
  };
}
