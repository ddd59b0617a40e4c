// `millrace state verify | rebuild`: copies compared with their changelogs, and made anew.
import { keyHash } from "../data/masked.ts";
import { compare, isSame, type StoreComparison } from "../engine/operate/comparison.ts";
import { partitionsOf, rebuildCopy, type StorePartition } from "../engine/operate/stores.ts";
import { exitCodes } from "./io.ts";
import { auditPersonal } from "./personal.ts";
import { progress } from "./progress.ts";
import { partitionOption, type StateContext } from "./state-options.ts";
import { tableLines } from "./table-lines.ts";

export const VERIFY_HELP = `
Reads each changelog whole and compares the copy with it, key by key, also while workers run: what changes meanwhile is
left out and counted as moving. Finds keys that are missing, too many or different, and what is no copy at all.
Keys may be personal data: they are shown as hashes unless --show-keys, whose use is noted (dlq stats).

Exit codes: 0 every copy is the same, or was repaired · 1 one differs · 2 usage · 3 no such store or pipeline ·
69 a server is away.

Examples:
  $ npx millrace state verify shop
  $ npx millrace state verify shop totals --repair`;

export const REBUILD_HELP = `
Makes each copy anew beside the old one, from the beginning of its changelog, then puts it in its place. Workers may run.

Exit codes: 0 done, or shown by --dry-run · 2 usage · 3 no such store, partition or pipeline · 5 workers of another release
are at work · 69 a server is away.

Examples:
  $ npx millrace state rebuild shop totals --partition 3 --dry-run
  $ npx millrace state rebuild shop`;

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
      await rebuildOne(at, one);
      result = await compare(one, ports);
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

const placeText = ({ store, partition }: StoreComparison): string =>
  `${store}-${String(partition)}`;

function keyText(key: Buffer, isShown: boolean): string {
  if (!isShown) return keyHash(key);
  const text = key.toString("utf8");
  const isText = /^[^\p{C}\ufffd]*$/u.test(text);
  return isText ? text : `base64:${key.toString("base64")}`;
}

const comparisonJson = (result: StoreComparison, isShown: boolean): string =>
  JSON.stringify({
    ...result,
    samples: result.samples.map(({ key, is }) => ({ key: keyText(key, isShown), is })),
    isSame: isSame(result),
  });

function verdictText(result: StoreComparison): string {
  if (result.problem !== null) return result.problem;
  const wrong = Object.entries(result.counts).filter(([, n]) => n > 0);
  return wrong.map(([is, n]) => `${String(n)} ${is}`).join(", ") || "same";
}

function comparisonLines(results: readonly StoreComparison[], isShown: boolean): readonly string[] {
  const header = ["STORE", "PARTITION", "KEYS", "MOVING", "VERDICT"];
  const rows = results.map((result) => [
    result.store,
    ...[result.partition, result.keys, result.moving].map(String),
    verdictText(result),
  ]);
  const samples = results.flatMap((result) =>
    result.samples.map(({ key, is }) => `  ${placeText(result)} ${is}: ${keyText(key, isShown)}`),
  );
  return [...tableLines([header, ...rows]), ...samples];
}

export async function rebuild(at: StateContext, store: string | null): Promise<number> {
  const { io, plan, ports, options } = at;
  const wanted = { store, partition: partitionOption(options) };
  for (const one of partitionsOf(plan, wanted, ports)) {
    const place = `${one.store.name}-${String(one.partition)}`;
    if (options.dryRun === true) io.out(`would make ${place} anew`);
    else io.out(`made ${place} anew, up to ${String(await rebuildOne(at, one))}`);
  }
  return exitCodes.ok;
}

async function rebuildOne({ io, ports }: StateContext, one: StorePartition): Promise<bigint> {
  const shown = progress(io, ports.clock, { done: "read", total: null });
  let at: bigint | null = null;
  const position = await rebuildCopy(one, ports, ({ from, next }) => {
    shown.add(Number(next - (at ?? from)));
    at = next;
  });
  shown.end();
  return position;
}
