// A live pipeline of sums on real servers, with a reader in a loop, for tests of promotions: set up by `sceneOf`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { AppFigures } from "./app-figures.ts";
import { appCommand, appOf, applyApp, type App } from "./app.ts";
import { eventually } from "./eventually.ts";
import { freshDatabase, type FreshDatabase } from "./fresh-database.ts";
import { Sales } from "./sales.ts";
import { sharedStack } from "./stack.ts";

export const prefix = `promote-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales: salesTopic, summing } = await import("./apps/totals.ts");
export const app: App = appOf("totals", { TEST_TOPICS: prefix });
/** The other rule counts sales of this shop one more. */
export const BONUS = "shop-3";
export const other: App = appOf("totals", { TEST_TOPICS: prefix, TEST_BONUS: BONUS });
export const PER_SECOND = 2_000;

type Row = { readonly shop: string; readonly total: number };

export class PromotionServers {
  readonly database: FreshDatabase;
  readonly env: Record<string, string>;
  readonly figures: AppFigures;
  readonly sales: Sales;

  private constructor(database: FreshDatabase, env: Record<string, string>) {
    this.database = database;
    this.env = env;
    this.figures = new AppFigures(summing.plan(), env);
    this.sales = new Sales(this.figures, salesTopic.name);
  }

  static async open(): Promise<PromotionServers> {
    const database = await freshDatabase();
    const env = { ...(await sharedStack()), DATABASE_URL: database.url };
    const servers = new PromotionServers(database, env);
    await applyApp(app, env);
    await servers.sales.send(20_000);
    return servers;
  }

  async close(): Promise<void> {
    await this.figures.close();
    await this.database.drop();
  }

  rows(table = "totals"): Promise<Row[]> {
    return this.database.query(`SELECT shop, total FROM ${table} ORDER BY shop`);
  }

  async reaches(wanted: () => unknown): Promise<void> {
    await eventually("live has counted everything", async () =>
      JSON.stringify(await this.rows()) === JSON.stringify(wanted()) ? true : null,
    );
  }

  /** Letters of the live pipeline that nobody has dealt with. */
  async openLetters(): Promise<number> {
    const { code, out } = await appCommand(
      app,
      ["dlq", "list", prefix, "--letters", "--json"],
      this.env,
    );
    assert.equal(code, 0, out);
    return out.split("\n").filter((line) => line.includes('"state":"open"')).length;
  }

  /** Reads until it is stopped; every look must see whole tables, none older than the one before unless that is undone. */
  reading({ isUndone = false } = {}): () => Promise<void> {
    let isOver = false;
    const looks: { n: number; sum: number }[] = [];
    const loop = (async () => {
      const client = await this.database.connect();
      while (!isOver) {
        const text = "SELECT count(*)::int AS n, coalesce(sum(total), 0)::int AS sum FROM totals";
        looks.push(...(await client.query<{ n: number; sum: number }>(text)).rows);
      }
      await client.end();
    })();
    return async () => {
      isOver = true;
      await loop;
      assert.deepEqual([...new Set(looks.map(({ n }) => n))], [7], "an empty or half table");
      const back = looks.findIndex(({ sum }, i) => i > 0 && sum < (looks[i - 1]?.sum ?? 0));
      if (!isUndone) assert.equal(back, -1, "a reader went back in time");
      assert.ok(looks.length > 100);
    };
  }
}
