// Evidence of a test that failed: what its processes wrote last, and what they answer now. All of it is diagnostics of
// the test. A short form goes behind the stack of the error, which the runner prints again at the end of its output.
import { afterEach } from "node:test";

/** A process that a test has started. */
export interface Witness {
  /** Its command. */
  readonly name: string;
  /** What it has written, the newest line last. */
  lines(): readonly string[];
  /** What it answers now. */
  answers?(): Promise<readonly string[]>;
  /** Whether it has ended by itself: it is shown until the test or subtest has ended in which it did. */
  isOver?(): boolean;
}

const LINES = 60;
const LINES_OF_ERROR = 8;
const CHARS = 800;
/** Of a test that starts many processes, those that began last. */
const WITNESSES = 8;
const NOISE = /"level":"(debug|trace)"/;

/** A campaign that starts the same processes has no test that fails. */
const isTested = process.env["NODE_TEST_CONTEXT"] !== undefined;
const witnesses = new Set<Witness>();

/** A test that fails shows it, until the answer is called. */
export function witness(one: Witness): () => void {
  if (isTested) witnesses.add(one);
  return () => void witnesses.delete(one);
}

const tailOf = (lines: readonly string[], count: number): readonly string[] =>
  lines
    .filter((line) => line.trim() !== "" && !NOISE.test(line))
    .slice(-count)
    .map((line) => (line.length > CHARS ? `${line.slice(0, CHARS)}…` : line));

async function shown(one: Witness): Promise<{ all: string; end: string }> {
  const answers = await (one.answers?.() ?? Promise.resolve([])).catch((error: unknown) => [
    String(error),
  ]);
  const text = (count: number): string =>
    [`${one.name}:`, ...tailOf(one.lines(), count), ...tailOf(answers, count)].join("\n  ");
  return { all: text(LINES), end: text(LINES_OF_ERROR) };
}

/** What the types of Node leave out of the context of a test. */
interface TestEnd {
  readonly passed?: boolean;
  readonly error?: { readonly cause?: unknown } | null;
  diagnostic(message: string): void;
}

async function show(t: TestEnd): Promise<void> {
  const all = await Promise.all([...witnesses].slice(-WITNESSES).map(shown));
  for (const one of all) t.diagnostic(one.all);
  const cause = t.error?.cause;
  if (cause instanceof Error) cause.stack = [cause.stack, ...all.map(({ end }) => end)].join("\n");
}

if (isTested)
  afterEach(async (context) => {
    const t = context as unknown as TestEnd;
    if (t.passed === false) await show(t);
    for (const one of witnesses) if (one.isOver?.() === true) witnesses.delete(one);
  });
