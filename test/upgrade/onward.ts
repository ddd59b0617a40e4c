// The way on from the recorded data, the same commands under whatever release: everything is worked off, letters go back,
// queued keys are let go, the run ends, the promotion is undone. Then what has come of it.
import assert from "node:assert/strict";
import pg from "pg";
import { eventually } from "../support/eventually.ts";
import type { Answer } from "./recording.ts";
import { pipelineNames, type Session } from "./session.ts";

const wrongRule = { UPGRADE_MAX: "900" };

/** The pipelines have nothing to do with each other. */
export async function workOff(session: Session): Promise<void> {
  await Promise.all([shopOnward(session), tillOnward(session), pagingOnward(session)]);
}

async function shopOnward(session: Session): Promise<void> {
  const first = await session.worker("shop", wrongRule);
  await session.settled("shop");
  await answers(session);
  assert.equal((await first.drain()).code, 0, first.story());
  const second = await session.worker("shop");
  await second.ready();
  // Exit code 1: some fail again.
  await session.command("dlq redrive shop --wait", {}, [0, 1]);
  await session.command("dlq redrive shop --parked --wait", {}, [0, 1]);
  await session.settled("shop");
  assert.equal((await second.drain()).code, 0, second.story());
}

/** Until each call has its answer, those of queued keys too. */
async function answers(session: Session): Promise<void> {
  const asked = await session.figures("shop").end("up.asks");
  await eventually(
    "every call has its answer",
    async () => {
      const records = await session.figures("shop").raw("up.answered");
      return BigInt(records.length) === asked || null;
    },
    90_000,
  );
}

async function tillOnward(session: Session): Promise<void> {
  const settings = { ...wrongRule, UPGRADE_BONUS: "on" };
  const worker = await session.worker("till", settings);
  await session.settled("till");
  await session.command("reprocess undo till --hold --yes", settings);
  assert.equal((await worker.drain()).code, 0, worker.story());
  await session.command("resume till");
  const next = await session.worker("till", wrongRule);
  await next.ready();
  await session.settled("till");
  assert.equal((await next.drain()).code, 0, next.story());
  const last = await session.worker("till");
  await last.ready();
  await session.command("dlq redrive till --wait", {}, [0, 1]);
  await session.settled("till");
  assert.equal((await last.drain()).code, 0, last.story());
}

async function pagingOnward(session: Session): Promise<void> {
  const worker = await session.worker("paging");
  await session.settled("paging");
  const run = session.run("paging --resume --rate 100000");
  assert.equal(await run.exit, 0);
  assert.equal((await worker.drain()).code, 0, worker.story());
}

export async function answerOf(session: Session): Promise<Answer> {
  return {
    tables: await tablesOf(session.env["DATABASE_URL"] ?? ""),
    topics: {
      "up.answered": await byKey(session, "shop", "up.answered"),
      "up.seen": await byKey(session, "shop", "up.seen"),
      "up.sums": lastOf(await byKey(session, "shop", "up.sums")),
      "up.till-sums": lastOf(await byKey(session, "till", "up.till-sums")),
    },
    letters: await session.letters(),
    ledgers: await ledgersOf(session),
  };
}

/** Every table of the app and of its runs. */
async function tablesOf(url: string): Promise<Answer["tables"]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: names } = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    );
    const tables: Record<string, string[]> = {};
    for (const { name } of names) {
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM "${name}"`);
      tables[name] = rows.map(rowText).sort();
    }
    return tables;
  } finally {
    await client.end();
  }
}

const rowText = (row: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries(row)
        .filter(([column]) => !column.startsWith("source_") && column !== "processed_at")
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  );

type ByKey = Record<string, string[]>;

async function byKey(session: Session, pipeline: string, topic: string): Promise<ByKey> {
  const figures = session.figures(pipeline);
  const records = await figures.raw(topic);
  const values = await figures.values(topic, records);
  const found: ByKey = {};
  for (const [i, { key }] of records.entries())
    (found[String(key)] ??= []).push(JSON.stringify(values[i]));
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How many, and the last: the order in which two partitions meet in a key differs from time to time. */
const lastOf = (found: ByKey): ByKey =>
  Object.fromEntries(
    Object.entries(found).map(([key, values]) => [
      key,
      [String(values.length), values.at(-1) ?? ""],
    ]),
  );

interface PartLedger {
  readonly part: string;
  readonly isBalanced: boolean;
  readonly ledger: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

/**
 * Parts that release 0.1.0 had in one are added up. Its word for a row that lost to a newer one was `filtered`, so newer words
 * for that are added to it.
 */
async function ledgersOf(session: Session): Promise<Answer["ledgers"]> {
  const ledgers: Record<string, Record<string, number>> = {};
  for (const pipeline of pipelineNames) {
    const out = await session.command(`ledger check ${pipeline} --json`);
    for (const line of out.split("\n").filter((one) => one.startsWith("{"))) {
      const { part, isBalanced, ledger } = JSON.parse(line) as PartLedger;
      assert.ok(isBalanced, line);
      const name = part.startsWith("up.") ? "main" : part;
      add((ledgers[`${pipeline}.${name}`] ??= {}), ledger);
    }
  }
  return ledgers;
}

function add(into: Record<string, number>, ledger: PartLedger["ledger"]): void {
  for (const [word, counted] of Object.entries(ledger)) {
    const outcome = word === "superseded" || word === "tombstone" ? "filtered" : word;
    const parts = typeof counted === "number" ? [counted] : Object.values(counted);
    into[outcome] = parts.reduce((sum, n) => sum + n, into[outcome] ?? 0);
  }
}
