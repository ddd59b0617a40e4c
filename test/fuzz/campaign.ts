// A run over all kinds: each gets its share of the time, or a number of cases. Memory is looked at between cases, after a collection.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { judge } from "./judge.ts";
import type { AnyKind } from "./kind.ts";

export interface Finding {
  readonly kind: string;
  readonly number: number;
  readonly wrong: string;
}

interface Tally {
  taken: number;
  refused: number;
  wrong: number;
  slowestMs: number;
  slowest: number;
  /** By code. */
  readonly codes: Map<string, number>;
}

export interface Report {
  readonly seed: number;
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly findings: readonly Finding[];
  /** The most that was kept after a collection, beyond what there was at the beginning. */
  readonly keptBytes: number;
}

export interface Campaign {
  readonly seed: number;
  readonly kinds: readonly AnyKind[];
  /** Or a number of cases, for each point of weight. */
  readonly ms?: number;
  readonly cases?: number;
  onFinding?(finding: Finding): void;
  /** Before each case: one that does not end can be named by somebody else alone. */
  onCase?(kind: string, number: number): void;
}

/** The bytes that may be kept of all that was read. */
export const KEPT_BYTES = 64_000_000;
const FINDINGS_A_KIND = 5;
/** Cases of one kind before the next has its turn. */
const TURN_MS = 500;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** An object with a finalizer is freed behind a collection, and buffers of other threads behind one more: so the least of several counts. */
async function keptNow(): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < LOOKS; look++) {
    collect();
    await new Promise(setImmediate);
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  return least;
}
const LOOKS = 4;

class Run {
  readonly #campaign: Campaign;
  readonly #next = new Map<string, number>();
  readonly tallies = new Map<string, Tally>();
  readonly findings: Finding[] = [];

  constructor(campaign: Campaign) {
    this.#campaign = campaign;
    for (const { name } of campaign.kinds)
      this.tallies.set(name, {
        ...{ taken: 0, refused: 0, wrong: 0, slowestMs: 0, slowest: 0, codes: new Map() },
      });
  }

  async play(kind: AnyKind): Promise<void> {
    const { seed } = this.#campaign;
    const number = this.#next.get(kind.name) ?? 0;
    this.#next.set(kind.name, number + 1);
    this.#campaign.onCase?.(kind.name, number);
    const { verdict, wrong, code, cpuMs } = await judge(kind, seed, number);
    const tally = this.tallies.get(kind.name) as Tally;
    tally[verdict]++;
    if (code !== null) tally.codes.set(code, (tally.codes.get(code) ?? 0) + 1);
    if (cpuMs > tally.slowestMs) Object.assign(tally, { slowestMs: cpuMs, slowest: number });
    if (wrong !== null) this.#found({ kind: kind.name, number, wrong });
  }

  /** The first cases of each fault; the same again is counted alone. */
  #found(finding: Finding): void {
    const alike = this.findings.filter(({ kind }) => kind === finding.kind);
    const isKnown = alike.some(({ wrong }) => wrong === finding.wrong);
    if (isKnown || alike.length >= FINDINGS_A_KIND) return;
    this.report(finding);
  }

  report(finding: Finding): void {
    this.findings.push(finding);
    this.#campaign.onFinding?.(finding);
  }
}

/** Plays until the time is over, or the cases are. */
export async function play(campaign: Campaign): Promise<Report> {
  const { seed, kinds, ms, cases } = campaign;
  const run = new Run(campaign);
  // Code is compiled and caches are filled by the first cases.
  let before: number | null = null;
  let keptBytes = 0;
  const look = async (kind: string): Promise<void> => {
    const now = await keptNow();
    before ??= now;
    keptBytes = Math.max(keptBytes, now - before);
    if (now - before <= KEPT_BYTES) return;
    run.report({ kind, number: 0, wrong: `${String(now - before)} bytes are kept` });
    before = now;
  };
  try {
    if (ms === undefined) await byCases(run, kinds, cases ?? 1, look);
    else await byTime(run, kinds, ms, look);
  } finally {
    for (const kind of kinds) await kind.close?.();
  }
  return { seed, tallies: run.tallies, findings: run.findings, keptBytes };
}

type Look = (kind: string) => Promise<void>;

async function byCases(
  run: Run,
  kinds: readonly AnyKind[],
  cases: number,
  look: Look,
): Promise<void> {
  for (const kind of kinds) {
    for (let left = (cases * kind.weight) / (kind.costMs ?? 1); left > 0; left--)
      await run.play(kind);
    await look(kind.name);
  }
}

async function byTime(run: Run, kinds: readonly AnyKind[], ms: number, look: Look): Promise<void> {
  const end = performance.now() + ms;
  const weights = kinds.reduce((sum, { weight }) => sum + weight, 0);
  const turnMs = Math.min(TURN_MS, ms / weights);
  while (performance.now() < end)
    for (const kind of kinds) {
      const until = Math.min(end, performance.now() + turnMs * kind.weight);
      while (performance.now() < until) await run.play(kind);
      await look(kind.name);
    }
}
