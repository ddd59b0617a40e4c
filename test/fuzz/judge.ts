// Plays one case and says what is wrong with it: an error that has no code, a code that the reader may not throw, a block of the
// loop, a prototype that was changed. A slow case is played again, since other work of the machine may have slowed it.
import { ConfigErrors, MillraceError } from "../../src/engine/core/errors.ts";
import { errorTable } from "../../src/engine/core/error-table.ts";
import { caseSeed, Draw } from "./draw.ts";
import type { AnyKind, Read, Verdict } from "./kind.ts";

/** CPU time that one case may take, in ms. */
export const BLOCK_MS = 200;
const SLOW_AGAIN = 3;

export interface Judged {
  readonly verdict: Verdict | "wrong";
  /** Null where nothing is. */
  readonly wrong: string | null;
  readonly code: string | null;
  readonly cpuMs: number;
}

export async function judge(kind: AnyKind, seed: number, number: number): Promise<Judged> {
  const played = await play(kind, seed, number);
  let { cpuMs } = played;
  for (let again = 0; again < SLOW_AGAIN && cpuMs > BLOCK_MS; again++)
    cpuMs = Math.min(cpuMs, (await play(kind, seed, number)).cpuMs);
  if (played.wrong !== null || cpuMs <= BLOCK_MS) return { ...played, cpuMs };
  const wrong = `it holds the loop for ${cpuMs.toFixed(0)} ms, and ${String(BLOCK_MS)} are allowed`;
  return { ...played, cpuMs, verdict: "wrong", wrong };
}

/** The input of a case, as its reader gets it. */
export const inputOf = (kind: AnyKind, seed: number, number: number): unknown =>
  kind.make(new Draw(caseSeed(seed, kind.name, number)));

async function play(kind: AnyKind, seed: number, number: number): Promise<Judged> {
  const input = inputOf(kind, seed, number) as never;
  const begun = process.threadCpuUsage();
  let cpuMs = 0;
  const outcome = await outcomeOf(kind, input, () => {
    const { user, system } = process.threadCpuUsage(begun);
    cpuMs = (user + system) / 1_000;
  });
  const polluted = pollution();
  return polluted === null
    ? { ...outcome, cpuMs }
    : { verdict: "wrong", wrong: polluted, code: null, cpuMs };
}

async function outcomeOf(
  kind: AnyKind,
  input: never,
  onRead: () => void,
): Promise<Omit<Judged, "cpuMs">> {
  try {
    const read = await timed(kind, input, onRead);
    if (typeof read === "string") return { verdict: read, wrong: null, code: null };
    read.look();
    return { verdict: "taken", wrong: null, code: null };
  } catch (error) {
    const thrown = error instanceof ConfigErrors ? error.problems[0] : error;
    const wrong = wrongThrow(kind, thrown);
    const code = thrown instanceof MillraceError ? thrown.code : null;
    return wrong === null ? { verdict: "refused", wrong, code } : { verdict: "wrong", wrong, code };
  }
}

async function timed(kind: AnyKind, input: never, onRead: () => void): Promise<Read> {
  try {
    const read = kind.read(input);
    // Without a wait where there is none: it would be other work's time.
    return read instanceof Promise ? await read : read;
  } finally {
    onRead();
  }
}

function wrongThrow({ codes }: AnyKind, error: unknown): string | null {
  if (!(error instanceof Error)) return `it throws ${typeof error}`;
  if (!(error instanceof MillraceError))
    return `${error.name}: ${error.message}\n${stackOf(error)}`;
  if (!Object.hasOwn(errorTable, error.code)) return `${error.code} is no code of the table`;
  return codes.test(error.code) ? null : `${error.code}: ${error.message}\n${stackOf(error)}`;
}

const stackOf = ({ stack = "" }: Error): string =>
  stack
    .split("\n")
    .filter((line) => /^ +at /.test(line))
    .slice(0, 6)
    .join("\n");

const PROTOTYPES = [Object, Array, Function, String, Number, Buffer, Map, Promise].map(
  ({ prototype }) => prototype as object,
);
const namesOf = (): string => PROTOTYPES.map((one) => Reflect.ownKeys(one).length).join();
const before = namesOf();

/** Names that a case has put onto a prototype; they are taken away again, or every later case would be wrong. */
function pollution(): string | null {
  if (namesOf() === before && !("polluted" in {})) return null;
  Reflect.deleteProperty(Object.prototype, "polluted");
  return "a prototype was changed";
}
