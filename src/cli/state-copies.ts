// `millrace state verify`: copies compared with their changelogs, and made anew where they differ.
import { keyHash } from "../data/masked.ts";
import { MillraceError } from "../engine/core/errors.ts";
import { compare, isSame, type StoreComparison } from "../engine/operate/comparison.ts";
import { partitionsOf, type StorePartition } from "../engine/operate/stores.ts";
import { exitCodes } from "./io.ts";
import { auditPersonal } from "./personal.ts";
import { keyText, partitionOption, type StateContext } from "./state-options.ts";
import { rebuildOne } from "./state-rebuild.ts";
import { tableLines } from "./table-lines.ts";

export const VERIFY_HELP = `
Reads each changelog whole and compares the copy with it, key by key, also while workers run: what changes meanwhile is
left out and counted as moving. Finds keys that are missing, too many or different, also where the index of what is due has them
at another time, and what is no copy at all. A copy that is behind its changelog is none of these: a worker brings it up.
Keys may be personal data: they are shown as hashes unless --show-keys, whose use is noted (dlq stats).

Exit codes: 0 every copy is the same, or was repaired · 1 one differs · 2 usage · 3 no such store or pipeline ·
69 a server is away.

Examples:
  $ npx millrace state verify shop
  $ npx millrace state verify shop totals --repair`;

export async function verify(at: StateContext, store: string | null): Promise<number> {
  const { io, plan, ports, options } = at;
  const wanted = { store, partition: partitionOption(options) };
  if (options.showKeys === true)
    await auditPersonal(at, "state verify --show-keys", `keys of ${plan.pipeline}'s stores`);
  const results: StoreComparison[] = [];
  for (const one of partitionsOf(plan, wanted, ports)) {
    let result = await compare(one, ports);
    if (options.repair === true && !isSame(result)) {
      io.err(`${placeText(result)} differs (${verdictText(result)}): making it anew`);
      if (await remade(at, one)) result = await compare(one, ports);
    }
    results.push(result);
  }
  const isShown = options.showKeys === true;
  const lines =
    options.json === true
      ? results.map((result) => comparisonJson(result, isShown))
      : comparisonLines(results, isShown);
  for (const line of lines) io.out(line);
  return results.every(isSame) ? exitCodes.ok : exitCodes.failure;
}

/** False where the changelog itself cannot be read: the verdict says so already. */
async function remade(at: StateContext, one: StorePartition): Promise<boolean> {
  try {
    await rebuildOne(at, one);
    return true;
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "MILL_STATE_CHANGELOG") throw error;
    return false;
  }
}

const placeText = ({ store, partition }: StoreComparison): string =>
  `${store}-${String(partition)}`;

const shownText = (key: Buffer, isShown: boolean): string =>
  isShown ? keyText(key) : keyHash(key);

const comparisonJson = (result: StoreComparison, isShown: boolean): string =>
  JSON.stringify({
    ...result,
    samples: result.samples.map(({ key, is }) => ({ key: shownText(key, isShown), is })),
    isSame: isSame(result),
  });

function verdictText({ problem, counts, behind }: StoreComparison): string {
  const wrong = Object.entries(counts)
    .filter(([, n]) => n > 0)
    .map(([is, n]) => `${String(n)} ${is}`);
  const faults = problem === null ? wrong : [problem, ...wrong];
  const all = faults.length === 0 ? ["same"] : faults;
  return (behind === 0 ? all : [...all, `behind by ${String(behind)}`]).join(", ");
}

function comparisonLines(results: readonly StoreComparison[], isShown: boolean): readonly string[] {
  const header = ["STORE", "PARTITION", "KEYS", "MOVING", "VERDICT"];
  const rows = results.map((result) => [
    result.store,
    ...[result.partition, result.keys, result.moving].map(String),
    verdictText(result),
  ]);
  const samples = results.flatMap((result) =>
    result.samples.map(({ key, is }) => `  ${placeText(result)} ${is}: ${shownText(key, isShown)}`),
  );
  return [...tableLines([header, ...rows]), ...samples];
}
