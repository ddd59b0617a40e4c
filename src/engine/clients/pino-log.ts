// The log over pino: one line of JSON on stderr for each fact. Values under names of secrets, credentials inside addresses
// and the payloads that foreign errors quote never reach it. Errors become code, message and stack.
import { pino, type DestinationStream } from "pino";
import { MillraceError } from "../core/errors.ts";
import type { LogFacts, Log } from "../core/ports.ts";
import { SECRET_NAME, type Hide } from "../core/secrets.ts";
import { withoutLogins } from "../core/shown-address.ts";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Facts that every line carries. */
  readonly base: LogFacts;
  /** Called when nobody reads the log any more, as behind `| head -1`. */
  readonly onCut?: () => void;
  /** The last guard: what is a secret in a finished line. */
  readonly hide?: Hide;
}

const stderr = 2;
const depthMax = 6;
const hidden = "[hidden]";
const quoted = /"[^"]*"|'[^']*'|`[^`]*`/g;

/** Synchronous, so that the last words of a process that dies are written. */
export function createLog(
  options: LogOptions,
  destination: DestinationStream = toStderr(options.onCut),
): Log {
  const { hide } = options;
  const guarded: DestinationStream =
    hide === undefined ? destination : { write: (line) => destination.write(hide(line)) };
  const logger = pino(
    {
      level: options.level,
      base: cleanFacts(options.base),
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    guarded,
  );
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (facts: LogFacts, message: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](cleanFacts(facts), withoutLogins(message));
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A reader that has gone costs the lines that nobody reads, and no more. */
function toStderr(onCut: () => void = () => undefined): DestinationStream {
  const destination = pino.destination({ fd: stderr, sync: true });
  destination.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    onCut();
  });
  return destination;
}

const cleanFacts = (facts: LogFacts): Record<string, unknown> => cleanEntries(facts, depthMax);

function cleanEntries(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, fact]) => [
      name,
      SECRET_NAME.test(name) ? hidden : clean(fact, depth - 1),
    ]),
  );
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === "string") return withoutLogins(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (depth <= 0 || ArrayBuffer.isView(value)) return hidden;
  if (value instanceof Error) return cleanError(value, depth, false);
  if (Array.isArray(value)) return value.map((item) => clean(item, depth - 1));
  return cleanEntries(value, depth);
}

/**
 * Our own messages contain no payload. A foreign one may quote it (JSON.parse and Postgres do), so quoted text goes; and
 * what lies under an error about one record was thrown over its data, so that message goes altogether.
 */
function cleanError(error: Error, depth: number, isAboutRecord: boolean): Record<string, unknown> {
  const ours = error instanceof MillraceError;
  const aboutRecord = isAboutRecord || (ours && error.disposition === "dead-letter");
  return {
    ...("code" in error ? { code: clean(error.code, depth - 1) } : { name: error.name }),
    ...(ours ? { where: clean(error.where, depth - 1) } : {}),
    message: ours ? withoutLogins(error.message) : foreignMessage(error, aboutRecord),
    stack: framesOf(error),
    ...(error.cause instanceof Error && depth > 1
      ? { cause: cleanError(error.cause, depth - 1, aboutRecord) }
      : {}),
  };
}

const foreignMessage = (error: Error, isAboutRecord: boolean): string =>
  isAboutRecord ? hidden : withoutLogins(error.message).replace(quoted, "…");

/** Only the frames: the head of a stack repeats the message. */
const framesOf = (error: Error): readonly string[] =>
  (error.stack ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at "));
