// Triggers change rows without refusing them: they drop a row, or give it another key.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { SinkResult } from "../../../src/engine/core/ports.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { contractTable } from "../../contract/table-store.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

type Values = readonly [string, number, number];

describe("a trigger that changes what is written", () => {
  let fixture: PostgresFixture;
  before(async () => {
    fixture = await postgresFixture([contractTable]);
  });
  after(() => fixture.close());
  beforeEach(() =>
    fixture.database.query("DROP FUNCTION IF EXISTS guard CASCADE; DELETE FROM contract_orders"),
  );

  let tasks = 0;
  const started = async () => {
    const store = postgresTableStore(fixture.pool, contractTable, { clock: stillClock });
    const topic = `triggers-${String(++tasks)}`;
    const task = { pipeline: "triggers", part: "contract_orders", topic, partition: 0 };
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    let from = 0n;
    return async (...rows: readonly Values[]): Promise<SinkResult> => {
      const expectedOffset = from++;
      return store.commit({
        ...{ task, epoch, expectedOffset, nextOffset: from, letters: [] },
        rows: rows.map((values, index) => ({
          values,
          index,
          offset: expectedOffset,
          timestamp: 0,
        })),
        refused: () => assert.fail("nothing is refused"),
        ledger: emptyLedger,
      });
    };
  };
  const trigger = (body: string): Promise<object[]> =>
    fixture.database.query(
      `CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $guard$ BEGIN ${body} END $guard$;
       CREATE TRIGGER guard BEFORE INSERT ON contract_orders FOR EACH ROW EXECUTE FUNCTION guard()`,
    );
  const sets = ({ written, stale, suppressed }: SinkResult): number[][] =>
    [written, stale, suppressed ?? new Set<number>()].map((set) => [...set].sort());
  const stored = async () =>
    (
      await fixture.database.query<{ row: string }>(
        "SELECT order_id || ' ' || amount AS row FROM contract_orders ORDER BY order_id",
      )
    ).map(({ row }) => row);

  test("and drops a row is told from an older row, and what was collapsed under it is written", async () => {
    const commit = await started();
    await commit(["stored", 1, 2_000]);
    await trigger("IF NEW.amount = 999 THEN RETURN NULL; END IF; RETURN NEW;");
    const result = await commit(
      ["new", 5, 1_000],
      ["stored", 7, 1_000],
      ["dropped", 999, 1_000],
      ["under", 3, 1_000],
      ["under", 999, 2_000],
    );
    assert.deepEqual(sets(result), [[0, 3], [1], [2, 4]]);
    assert.deepEqual(await stored(), ["new 5", "stored 1", "under 3"]);
  });

  test("and writes a row elsewhere has it dropped once, with its effect", async () => {
    await fixture.database.query("CREATE TABLE elsewhere (amount bigint)");
    const commit = await started();
    await trigger("INSERT INTO elsewhere VALUES (NEW.amount); RETURN NULL;");
    assert.deepEqual(sets(await commit(["a", 1, 1_000], ["b", 2, 1_000])), [[], [], [0, 1]]);
    const found = await fixture.database.query("SELECT amount FROM elsewhere ORDER BY 1");
    assert.deepEqual(found, [{ amount: "1" }, { amount: "2" }]);
  });

  test("and gives rows another key has them written, those that then meet and those beside a dropped one too", async () => {
    const commit = await started();
    await trigger(
      "IF NEW.amount = 999 THEN RETURN NULL; END IF; NEW.order_id := 'key-' || NEW.amount % 2; RETURN NEW;",
    );
    const result = await commit(
      ["a", 1, 1_000],
      ["b", 2, 1_001],
      ["c", 3, 1_002],
      ["d", 999, 1_003],
    );
    assert.deepEqual(sets(result), [[0, 1, 2], [], [3]]);
    assert.deepEqual(await stored(), ["key-0 2", "key-1 3"]);
  });

  test("leaves the outcome of a row to the rows that others write this very moment", async () => {
    const [one, other] = [await started(), await started()];
    await one(["a", 1, 1_000]);
    // The trigger lets another writer be first, whose row is newer: then ours is an older one, not a dropped one.
    const rival = await fixture.database.connect();
    await rival.query("BEGIN; UPDATE contract_orders SET updated_at = 'infinity', amount = 9");
    const late = other(["a", 2, 2_000]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await rival.query("COMMIT");
    await rival.end();
    assert.deepEqual(sets(await late), [[], [0], []]);
  });
});
