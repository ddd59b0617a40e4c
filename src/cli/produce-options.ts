// The options of `millrace produce --file`: from which line, and what becomes of rows that are no records of the topic.
import { resolve } from "node:path";
import { STDIN } from "../data/row.ts";
import { usage, wholeOption, wrongOption } from "./option-values.ts";

export interface FileOptions {
  readonly file: string;
  readonly key?: string;
  readonly rate?: string;
  readonly fromLine?: string;
  readonly onInvalid?: readonly string[];
  readonly again?: boolean;
  readonly json?: boolean;
}

/** stop: nothing behind the row is sent · skip: the others are · reject-file: they are, and the path says why it was not. */
export interface OnInvalid {
  readonly kind: "stop" | "skip" | "reject-file";
  readonly path: string | null;
}

export interface FileRequest {
  readonly topic: string;
  /** Absolute, or that of standard input. */
  readonly path: string;
  readonly key: string | null;
  readonly fromLine: number;
  readonly onInvalid: OnInvalid;
  readonly perSecond: number | null;
  readonly again: boolean;
  readonly json: boolean;
  /** The command that goes on at this line. */
  commandFrom(line: number): string;
}

export function fileRequest(topic: string, options: FileOptions, cwd: string): FileRequest {
  const { file, key = null, again = false, json = false } = options;
  const path = file === STDIN ? STDIN : resolve(cwd, file);
  const { kind, path: given } = onInvalidOf(options.onInvalid);
  const rejects = given === null ? null : resolve(cwd, given);
  if (rejects === path)
    throw usage("--on-invalid reject-file: this is the file that is sent; name another one");
  const command = commandOf(topic, options);
  return {
    topic,
    path,
    key,
    fromLine: wholeOption("--from-line", options.fromLine, { min: 1, fallback: 1 }),
    onInvalid: { kind, path: rejects },
    perSecond: wholeOption("--rate", options.rate, { min: 1, fallback: null }),
    again,
    json,
    commandFrom: (line) => `${command} --from-line ${String(line)}`,
  };
}

/** The command as it was given, without where it begins. */
function commandOf(topic: string, { file, key, rate, onInvalid = [] }: FileOptions): string {
  const optional = (name: string, values: readonly string[]): readonly string[] =>
    values.length === 0 ? [] : [name, ...values];
  const words = [
    topic,
    "--file",
    file,
    ...optional("--key", key === undefined ? [] : [key]),
    ...optional("--on-invalid", onInvalid),
    ...optional("--rate", rate === undefined ? [] : [rate]),
  ];
  return ["npx millrace produce", ...words.map(shellWord)].join(" ");
}

const EXPECTED = "stop, skip or reject-file PATH";

function onInvalidOf([kind = "stop", path = null]: readonly (string | null)[] = []): OnInvalid {
  if (kind === "reject-file") {
    if (path === null) throw usage(`--on-invalid: expected ${EXPECTED}, received no path`);
    return { kind, path };
  }
  if (kind === "stop" || kind === "skip") return { kind, path: null };
  throw wrongOption("--on-invalid", EXPECTED, String(kind));
}

/** The topic, which may stand behind `--on-invalid`, where the parser takes it for another value of that option. */
export function topicAnd(
  operand: string | undefined,
  given: readonly string[] = [],
): { readonly topic: string; readonly onInvalid: readonly string[] } {
  const own = given[0] === "reject-file" ? 2 : 1;
  const [topic, ...others] = [...(operand === undefined ? [] : [operand]), ...given.slice(own)];
  if (topic === undefined) throw usage("the name of a topic is missing");
  if (others.length > 0) throw usage(`too many arguments: ${others.join(" ")}`);
  return { topic, onInvalid: given.slice(0, own) };
}

const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
