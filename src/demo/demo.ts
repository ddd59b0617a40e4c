// The main job from nothing to a balanced ledger: a stack, topics, tables, data, the pipeline, and what came of it.
// Every step is a command that a user could type; the demo types it.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { imbalanceOf, ledgerTotals, sumLedgers, type LedgerCounts } from "../engine/core/ledger.ts";
import { InvariantError } from "../engine/core/errors.ts";
import type { Plan } from "../engine/core/plan.ts";
import { ledgerOfPart, readProgress } from "../engine/core/progress.ts";
import { watermarksOf } from "../engine/core/read-range.ts";
import { addressOf } from "../engine/core/record.ts";
import type { Clients } from "../engine/runtime/host/connect.ts";

export interface DemoPorts {
  readonly plan: Plan;
  readonly clients: Clients;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs one command of ours, showing it; rejects when it fails. */
  type(command: string): Promise<void>;
  /** Ends the demo, which then takes down what it has started. */
  readonly signal: AbortSignal;
  say(line: string): void;
}

const bin = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
const DRAIN_LIMIT_MS = 180_000;
const LOOK_MS = 250;

const DATA = [
  "produce customers --generate customers",
  "produce products --generate products",
  "produce customer_orders --generate orders --count 10000 --poison 10",
];

/** Runs the whole job; throws InvariantError when a figure is not what it must be. */
export async function runDemo(ports: DemoPorts): Promise<void> {
  for (const command of ["topics apply", "tables apply", ...DATA]) await ports.type(command);
  const worker = startWorker(ports);
  // A terminal's signal ends it before the demo does.
  const ended = once(worker, "exit");
  try {
    await drained(ports, worker);
  } finally {
    worker.kill("SIGTERM");
    await ended;
  }
  await report(ports);
}

function startWorker({ plan, env, say }: DemoPorts): ChildProcess {
  say(`\n$ npx millrace run ${plan.pipeline}`);
  return spawn(process.execPath, [bin, "run", plan.pipeline], {
    env: { MILLRACE_HTTP_PORT: "0", MILLRACE_LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** Until every task has decided everything that its topics hold. */
async function drained(
  { plan, clients, say, signal }: DemoPorts,
  worker: ChildProcess,
): Promise<void> {
  const admin = clients.kafka.admin();
  const until = clients.clock.monotonic() + DRAIN_LIMIT_MS;
  for (let calm = 0; calm < 2;) {
    if (worker.exitCode !== null) throw broken("the worker ended early");
    if (clients.clock.monotonic() > until) throw broken("the pipeline did not drain in time");
    await clients.clock.sleep(LOOK_MS, signal);
    const progress = await readProgress(plan, { admin, tableStore: clients.tableStore });
    const topics = progress.map(({ topic }) => topic);
    const ends = await watermarksOf(admin, topics);
    const isDone = progress.every(
      (task) => (task.nextOffset ?? -1n) >= (ends.get(addressOf(task))?.high ?? 0n),
    );
    calm = isDone ? calm + 1 : 0;
  }
  say("drained: every part has decided the end of its topics");
}

const broken = (what: string): InvariantError => new InvariantError("MILL_ENGINE_INVARIANT", what);

async function report({ plan, clients, say }: DemoPorts): Promise<void> {
  const progress = await readProgress(plan, {
    admin: clients.kafka.admin(),
    tableStore: clients.tableStore,
  });
  say("\nLedger: where every record ended");
  for (const { name } of plan.parts) sayLedger(name, ledgerOfPart(progress, name), say);
  const { rows } = await clients.pool.query<Figures>(FIGURES);
  const [figures] = rows;
  if (figures === undefined) throw broken("fact_orders cannot be read");
  say("\nfact_orders");
  say(`  rows                          ${figures.rows}`);
  say(`  of the unknown customer       ${figures.unknown}`);
  say(`  checksum of business columns  ${figures.checksum}`);
  const letters = sumLedgers(progress.flatMap((task) => task.ledger ?? []))["dead-lettered"];
  say("\nDead letters by class");
  for (const [letterClass, n] of Object.entries(letters))
    say(`  ${letterClass.padEnd(28)}  ${String(n)}`);
}

interface Figures {
  readonly rows: string;
  readonly unknown: string;
  readonly checksum: string;
}

/** Without source offsets and times of processing: what a second run of the same data must leave as it is. */
const FIGURES = `
  SELECT count(*) AS rows,
         count(*) FILTER (WHERE customer_id = 'unknown') AS unknown,
         md5(string_agg(concat_ws('|', order_id, customer_id, product_id, date_id, quantity, amount, status,
             extract(epoch FROM order_ts), extract(epoch FROM updated_at)), E'\\n' ORDER BY order_id)) AS checksum
    FROM public.fact_orders`;

function sayLedger(part: string, ledger: LedgerCounts, say: (line: string) => void): void {
  const { consumed = 0, ...outcomes } = ledgerTotals(ledger);
  const sum = Object.entries(outcomes).map(([word, n]) => `${String(n)} ${word}`);
  const verdict = imbalanceOf(ledger) === 0 ? "balances" : "DOES NOT BALANCE";
  say(
    `  ${part.padEnd(14)} ${String(consumed).padStart(7)} consumed = ${sum.join(" + ") || "0"}   ${verdict}`,
  );
  if (imbalanceOf(ledger) !== 0) throw broken(`the ledger of ${part} does not balance`);
}
