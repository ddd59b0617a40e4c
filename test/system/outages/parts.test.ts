// A pipeline of four parts on real servers: two topics merged, checked, keyed anew through a repartition topic, written
// to a topic and into two tables, one of them through a `-sink` topic; its worker is killed in mid-flow.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { headerText, partitionOf } from "../../../src/engine/core/record.ts";
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp } from "../../support/app.ts";
import type { Payment } from "../../support/apps/parts.ts";
import { eventually } from "../../support/eventually.ts";
import { Feeder } from "../../support/feeder.ts";
import { freshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `parts-${randomBytes(4).toString("hex").replace(/^/, "t")}`;
process.env["TEST_TOPICS"] = prefix;
const { byAccount, cards, cash, PARTITIONS, parts } = await import("../../support/apps/parts.ts");

const ACCOUNTS = 300;
const TERMINALS = 40;
const PER_SECOND = 2_000;
const RECORDS_MIN = 12_000;

/** An account pays at one terminal, so the order of its payments is that of one source partition. */
function paymentOf(n: number): { terminal: string; payment: Payment } {
  const at = n % ACCOUNTS;
  const terminal = at % TERMINALS;
  const account = at === 7 ? "" : at % 30 === 5 ? `a${String(at)}-closed` : `a${String(at)}`;
  const amount = n % 50 === 3 ? -5 : n % 70 === 11 ? 5_000 : (n * 37) % 100;
  const kind = terminal % 2 === 0 ? "card" : "cash";
  const seq = Math.floor(n / ACCOUNTS);
  return { terminal: `t${String(terminal)}`, payment: { seq, account, amount, kind } };
}

/** What must become of the payments, by a second, naive program. */
function expectedOf(source: readonly Payment[]) {
  const notPositive = source.filter(({ amount }) => amount <= 0);
  const positive = source.filter(({ amount }) => amount > 0);
  const closed = positive.filter(({ account }) => account.endsWith("-closed"));
  const keyless = positive.filter(({ account }) => account === "");
  const keyed = positive.filter(({ account }) => account !== "" && !account.endsWith("-closed"));
  const tooMuch = keyed.filter(({ amount }) => amount >= 1_000);
  const sane = keyed.filter(({ amount }) => amount < 1_000);
  const big = sane.filter(({ amount }) => amount >= 90);
  return { notPositive, closed, keyless, keyed, tooMuch, sane, big };
}

const texts = (payments: readonly Payment[]): string[] =>
  payments.map(({ account, seq, amount, kind }) => [account, seq, amount, kind].join("|")).sort();

test(
  "four parts under a SIGKILL: every payment ends once, in order, and the repartition topic is purged",
  { timeout: 600_000 },
  async (t) => {
    const database = await freshDatabase();
    t.after(() => database.drop());
    const env = {
      ...(await sharedStack()),
      DATABASE_URL: database.url,
      MILLRACE_SESSION_TIMEOUT_MS: "2000",
      MILLRACE_PURGE_INTERVAL_MS: "1000",
    };
    const app = appOf("parts", { TEST_TOPICS: prefix });
    await applyApp(app, env);
    const figures = new AppFigures(parts.plan(), env);
    t.after(() => figures.close());
    const options = { args: [], env, app };
    const first = await WorkerProcess.start(t, options);
    await first.ready();

    const feeder = new Feeder({
      kafka: figures.clients.kafka,
      perSecond: PER_SECOND,
      record: (n) => {
        const { terminal, payment } = paymentOf(n);
        const key = Buffer.from(terminal);
        return {
          topic: (payment.kind === "card" ? cards : cash).name,
          partition: partitionOf(key, PARTITIONS, 0),
          key,
          value: Buffer.from(JSON.stringify(payment)),
          headers: [],
          timestamp: Date.now(),
        };
      },
    });
    t.after(() => feeder.stop());

    const killAt = 1_000 + Math.floor(Math.random() * 4_000);
    const atKill = await eventually("the worker is in mid-flow", async () => {
      const { consumed } = await figures.ledger("account");
      return consumed >= killAt ? consumed : null;
    });
    first.kill("SIGKILL");
    assert.equal((await first.exit).signal, "SIGKILL");
    const second = await WorkerProcess.start(t, options);
    await eventually("enough was sent", () => (feeder.next >= RECORDS_MIN ? true : null));
    await feeder.stop();
    await figures.drained();
    t.diagnostic(
      `killed at ${String(atKill)} of ${String(feeder.next)} records (wanted ${String(killAt)})`,
    );

    const source = [
      ...(await figures.values<Payment>(cards.name)),
      ...(await figures.values<Payment>(cash.name)),
    ];
    assert.ok(atKill < source.length / 2, "the kill came in mid-flow");
    const want = expectedOf(source);
    for (const [what, list] of Object.entries(want)) assert.ok(list.length > 20, what);

    // The topic by account: exact, nothing twice, and each account in the order of its source.
    const records = await figures.raw(byAccount.name);
    const written = await figures.values<Payment>(byAccount.name, records);
    assert.deepEqual(texts(written), texts(want.sane));
    records.forEach(({ key, partition }, at) => {
      assert.equal(String(key), written[at]?.account);
      assert.equal(partition, partitionOf(key, PARTITIONS, 0));
    });
    for (const [account, own] of Map.groupBy(written, (payment) => payment.account))
      assert.ok(
        own.every(({ seq }, at) => at === 0 || seq > (own[at - 1]?.seq ?? -1)),
        `order of ${account}`,
      );

    // Both tables, and a letter takes its record out of every branch.
    const rowsOf = (table: string): Promise<Payment[]> =>
      database.query<Payment>(`SELECT account, seq, amount, kind FROM public.${table}`);
    assert.deepEqual(texts(await rowsOf("payments")), texts(want.sane));
    assert.deepEqual(texts(await rowsOf("big_payments")), texts(want.big));

    // Letters of both parts, each once.
    const letters = await figures.raw(figures.plan.deadLetters);
    const ofRule = (rule: string): Payment[] =>
      letters
        .filter(({ headers }) => headerText(headers, "dlq.rule") === rule)
        // Between parts a value has the mark of its topic in front of its bytes, which may look like a brace too.
        .map(({ value }) => String(value))
        .map((text) => JSON.parse(text.slice(text.lastIndexOf("{"))) as Payment);
    assert.deepEqual(texts(ofRule("amount-positive")), texts(want.notPositive));
    assert.deepEqual(texts(ofRule("amount-sane")), texts(want.tooMuch));
    assert.equal(letters.length, want.notPositive.length + want.tooMuch.length);

    const ledgers = await Promise.all(
      ["main", "account", "payments", "big_payments"].map((part) => figures.ledger(part)),
    );
    assert.deepEqual(ledgers.map(ledgerTotals), [
      {
        consumed: source.length,
        "dead-lettered": want.notPositive.length,
        emitted: want.keyed.length,
        "null-key": want.keyless.length,
        filtered: want.closed.length,
      },
      {
        consumed: want.keyed.length,
        "dead-lettered": want.tooMuch.length,
        emitted: want.sane.length,
      },
      { consumed: want.sane.length, emitted: want.sane.length },
      { consumed: want.big.length, emitted: want.big.length },
    ]);
    assert.deepEqual(ledgers.map(imbalanceOf), [0, 0, 0, 0]);

    // Purged up to committed progress, and no further; the sink's topic is not purged at all.
    await eventually("the repartition topic is purged", async () => {
      const marks = await figures.admin.watermarks(`${prefix}-account-repartition`);
      const progress = (await figures.progress()).filter(({ part }) => part === "account");
      const isPurged = marks.every(({ partition, low }) => {
        const committed = progress.find((task) => task.partition === partition)?.nextOffset ?? -1n;
        assert.ok(low <= committed);
        return low === committed && low > 0n;
      });
      return isPurged ? true : null;
    });
    const sink = await figures.admin.watermarks(`${prefix}-big_payments-sink`);
    assert.ok(sink.every(({ low }) => low === 0n));
    assert.deepEqual(await second.drain(), { code: 0, signal: null });
  },
);
