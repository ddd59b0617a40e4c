// Leaves behind what a release stores: letters in every state, queued keys, lag in every kind of topic, letters in an outbox,
// a promoted run, a run that is not finished, a reset. Each fact is looked for before the next step.
import assert from "node:assert/strict";
import pg from "pg";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import { eventually } from "../../support/eventually.ts";
import { inputs } from "../inputs.ts";
import type { Session } from "../session.ts";

export interface Scene {
  readonly session: Session;
  /** Suspends and continues the broker. */
  readonly freeze: (isFrozen: boolean) => void;
}

const shopTopics = ["up.sales", "up.returns", "up.asks", "up.visits"];
const wrong = { UPGRADE_MAX: "900" };

async function send(session: Session, records: readonly OutRecord[]): Promise<void> {
  const producer = session.figures("shop").clients.kafka.producer();
  await producer.send(records);
  await producer.close();
}

export async function leaveBehind(scene: Scene): Promise<void> {
  const { session } = scene;
  await session.provide();
  await shopLetters(session);
  await tillPromoted(session);
  await pagingReset(session);
  await shopStopped(scene);
  await unreadLetters(session);
}

/** Letters that are open, resolved, failed again, parked and discarded. */
async function shopLetters(session: Session): Promise<void> {
  const first = await session.worker("shop", wrong);
  await send(session, inputs(0, shopTopics));
  await session.settled("shop");
  await first.drain();
  const second = await session.worker("shop", { UPGRADE_MAX: "1050" });
  await second.ready();
  await session.command(
    "dlq redrive shop --rule amount-plausible --origin up.sales-0 --wait",
    {},
    [0, 1],
  );
  await session.command(
    "dlq redrive shop --class decode --origin up.sales --max 1 --wait",
    {},
    [0, 1],
  );
  await session.command("dlq discard shop --origin up.returns-1 --reason wrong_tills --yes");
  await session.settled("shop");
  await second.drain();
  const states = new Set((await session.letters()).map(({ state }) => state));
  assert.deepEqual([...states].sort(), ["discarded", "open", "parked", "resolved"]);
}

/** A run with another rule takes the live pipeline's place, with letters of both; then records come. */
async function tillPromoted(session: Session): Promise<void> {
  const live = await session.worker("till", wrong);
  await send(session, inputs(0, ["up.tills"]));
  await session.settled("till");
  const other = { UPGRADE_MAX: "1020", UPGRADE_BONUS: "on" };
  const run = session.run("till --follow", other);
  await eventually("the run follows", () => run.reports.at(-1)?.step === "following" || null);
  await session.command("reprocess promote till --hold --yes", other);
  await run.exit;
  await live.drain();
  await session.command("resume till");
  const next = await session.worker("till", { ...wrong, UPGRADE_BONUS: "on" });
  await send(session, inputs(1, ["up.tills"]));
  await session.settled("till");
  await next.drain();
  await send(session, inputs(2, ["up.tills"]));
}

/** Progress begun anew, and a run that stops in the middle. */
async function pagingReset(session: Session): Promise<void> {
  const first = await session.worker("paging");
  await session.settled("paging");
  await first.drain();
  await session.command("offsets reset paging --to earliest --with-state --yes");
  const second = await session.worker("paging");
  await session.settled("paging");
  await second.drain();
  const run = session.run("paging --rate 5");
  await eventually("the run is in the middle", () => (run.reports.at(-1)?.done ?? 0) > 15 || null);
  run.kill();
  await run.exit;
  assert.match(await session.command("reprocess status paging"), /running/);
}

/** Queued keys, a part that has halted with lag behind it, rows that wait, letters in the outbox. */
async function shopStopped({ session, freeze }: Scene): Promise<void> {
  const settings = { ...wrong, UPGRADE_CALLS: "down", UPGRADE_HALT: "on" };
  const worker = await session.worker("shop", settings);
  const locking = new pg.Client({ connectionString: session.env["DATABASE_URL"] });
  locking.on("error", () => undefined);
  await locking.connect();
  await send(session, inputs(1, shopTopics));
  const inner = (topic: string): boolean => /by-shop|lines-sink|up.sums/.test(topic);
  await session.settled("shop", inner);
  await locking.query("BEGIN");
  await locking.query("LOCK TABLE public.lines IN ACCESS EXCLUSIVE MODE");
  await send(session, inputs(2, shopTopics));
  await session.settled("shop", inner);
  await eventually("the table is waited for", async () => {
    const { rows } = await locking.query("SELECT 1 FROM pg_locks WHERE NOT granted");
    return rows.length > 0 || null;
  });
  freeze(true);
  try {
    await locking.query("COMMIT");
    await eventually("letters lie in the outbox", async () => {
      const { rows } = await locking.query("SELECT 1 FROM millrace.letters");
      return rows.length > 0 || null;
    });
    worker.kill("SIGKILL");
    await worker.exit;
  } finally {
    freeze(false);
  }
  await locking.end();
  // Records that nobody has read.
  await send(session, inputs(3, shopTopics));
}

/** Letters that have been sent back and lie in the redrive topic. */
async function unreadLetters(session: Session): Promise<void> {
  await session.command("dlq redrive shop --rule amount-plausible --origin up.sales-1");
  const states = new Set((await session.letters()).map(({ state }) => state));
  assert.deepEqual([...states].sort(), ["discarded", "open", "parked", "redriven", "resolved"]);
}
