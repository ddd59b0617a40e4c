// The app of the rights' tests at work: what is sold, what comes of it, and a worker from which one right is taken.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { AppFigures } from "./app-figures.ts";
import { eventually } from "./eventually.ts";
import { GrantedServers, ROLES, type Grant, type RoleName } from "./granted.ts";
import { WorkerProcess, type Owner } from "./worker-process.ts";

export class RightsScene {
  readonly servers: GrantedServers;
  readonly given: Grant[] = [];
  readonly #figures: AppFigures;
  readonly #sales: string;
  #sent = 0;
  #spoilt = 0;

  private constructor(servers: GrantedServers, figures: AppFigures, sales: string) {
    this.servers = servers;
    this.#figures = figures;
    this.#sales = sales;
  }

  static async open(): Promise<RightsScene> {
    const servers = await GrantedServers.open();
    process.env["TEST_TOPICS"] = servers.name;
    const { sales, summing } = await import("./apps/totals.ts");
    return new RightsScene(servers, new AppFigures(summing.plan(), servers.everything), sales.name);
  }

  async close(): Promise<void> {
    await this.#figures.close();
    await this.servers.close();
  }

  /** Gives what is printed, in the order that the help tells, and has the operator apply topics and tables. */
  async apply(...more: string[]): Promise<void> {
    const { servers, given } = this;
    for (const role of ROLES)
      for (const server of ["kafka", "redis"] as const)
        given.push(...(await servers.give(role, server, ...more)));
    given.push(...(await servers.give("operator", "postgres")));
    await this.succeeds("operator", "topics", "apply");
    await this.succeeds("operator", "tables", "apply");
    for (const role of ["worker", "reader"] as const)
      given.push(...(await servers.give(role, "postgres")));
  }

  async succeeds(role: RoleName, ...argv: string[]): Promise<string> {
    const { code, out } = await this.servers.command(role, ...argv);
    assert.equal(code, 0, `${argv.join(" ")}: ${out}`);
    return out;
  }

  startWorker(owner: Owner, more: Readonly<Record<string, string>> = {}): Promise<WorkerProcess> {
    const { servers } = this;
    const env = { ...servers.envOf("worker"), ...more };
    return WorkerProcess.start(owner, { args: [servers.name], env, app: servers.app });
  }

  sell(count: number): Promise<void> {
    const texts = Array.from({ length: count }, () =>
      JSON.stringify({ shop: `s${String(this.#sent++ % 5)}`, amount: 1 }),
    );
    return this.#send(texts);
  }

  /** Records that become letters. */
  spoil(count: number): Promise<void> {
    return this.#send(Array.from({ length: count }, () => `{no json ${String(this.#spoilt++)}`));
  }

  async #send(texts: readonly string[]): Promise<void> {
    const producer = this.#figures.clients.kafka.producer();
    const place = { topic: this.#sales, headers: [], timestamp: Date.now(), key: Buffer.from("t") };
    await producer.send(
      texts.map((text, i) => ({ ...place, partition: i % 2, value: Buffer.from(text) })),
    );
    await producer.close();
  }

  summed(): Promise<true> {
    return eventually("every sale is in the table", async () => {
      const text = "SELECT coalesce(sum(total), 0)::integer AS total FROM totals";
      const [row] = await this.servers.database.query<{ total: number }>(text);
      return row?.total === this.#sent ? true : null;
    });
  }

  /** Takes one right from the worker: it is named, at the start with exit code 4; given back, nothing is missing. */
  async workerWithout(owner: Owner, grant: Grant): Promise<void> {
    const named = namesRight(grant);
    await grant.take();
    try {
      const worker = await this.startWorker(owner, { MILLRACE_PURGE_INTERVAL_MS: "1000" });
      await this.sell(2);
      await this.spoil(1);
      await eventually(`the worker names "${grant.text}"`, async () => {
        const reasons = (await worker.health())?.reasons ?? [];
        const text = `${worker.story()}\n${reasons.join("\n")}`;
        if (named.test(text)) return true;
        assert.ok(!worker.hasEnded, text);
        return null;
      });
      // What is missing at a start ends it; what is missed later ends nothing.
      const exit = await Promise.race([worker.exit, delay(2_000, null)]);
      if (exit !== null) assert.equal(exit.code, 4, worker.story());
      else worker.killGroup("SIGKILL");
      await worker.exit;
    } finally {
      await grant.give();
    }
  }
}

/** The words of an error that names the right. */
function namesRight({ server, text }: Grant): RegExp {
  if (server === "kafka") return kafkaWords(text);
  if (server === "postgres") return postgresWords(text);
  return text.startsWith("~")
    ? /MILL_REDIS_AUTH.*needs that key/
    : new RegExp(`MILL_REDIS_AUTH.*needs (the command ${text.slice(1)}|a command of its scripts)`);
}

const escaped = (part: string): string => part.replace(/[^\w ]/g, "\\$&");

function kafkaWords(text: string): RegExp {
  const [operation = "", kind = "", name = ""] = text.split(" ");
  // The first request that is refused may need no more than Describe, which these imply.
  const right = /^(Read|Write|Delete|Alter)$/.test(operation)
    ? `(${operation}|Describe)`
    : operation;
  const what = `${kind.replace("-", " ")} ${escaped(name)}`;
  return new RegExp(`the ${what}\\S* needs the right ${right}; for the grants: npx millrace acls`);
}

function postgresWords(text: string): RegExp {
  const [, , named = ""] = /ON (SCHEMA )?(.*) TO/.exec(text) ?? [];
  // The table of "schema"."table", or any of several schemas.
  const objects = named.includes(".") ? [named.split(".")[1] ?? ""] : named.split(", ");
  const any = `(${objects.map((one) => escaped(one.replaceAll('"', ""))).join("|")})`;
  return new RegExp(`MILL_POSTGRES_AUTH.*(${any}.*(lacks|may not use)|may not use schema ${any})`);
}
