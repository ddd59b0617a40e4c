// Connections to Postgres: a bounded pool, every session with the same limits, never a standby.
// Promises that a transaction is committed, rolled back, or reported as unknown. Says nothing about tables.
import pg from "pg";
import { assert, ConfigError } from "../../core/errors.ts";
import { shownAddress } from "../../core/shown-address.ts";
import { CommitUnknownError, PostgresError, translate } from "./fault.ts";
import { prepareSession } from "./session.ts";

interface PostgresPoolOptions {
  /** postgres://user:password@host:port/database?sslmode=…, as libpq has it. */
  readonly url: string;
  readonly applicationName?: string;
  readonly connectionsMax?: number;
  readonly connectTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** Between two statements of a transaction. */
  readonly pauseTimeoutMs?: number;
}

export interface QueryResult<R> {
  readonly rows: readonly R[];
  /** Rows returned or changed. */
  readonly count: number;
}

/** A connection inside one transaction. */
export interface PostgresSession {
  query<R>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>>;
}

export interface PostgresPool extends PostgresSession {
  /** host:port/database, for messages. */
  readonly address: string;
  /**
   * Runs `work` in a READ COMMITTED transaction with immediate constraints. Throws what `work` threw after a rollback, or
   * CommitUnknownError when the reply to COMMIT was lost.
   */
  transaction<R>(work: (session: PostgresSession) => Promise<R>): Promise<R>;
  /** Holds a lock of that name on a connection of its own until it is released or the connection ends; null: somebody has it. */
  lock(name: string): Promise<HeldLock | null>;
  close(): Promise<void>;
}

export interface HeldLock {
  /** Aborts when the connection, and the lock with it, is gone. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/** Parameters reach the server as texts: what is not a string, a Buffer or null has been encoded before. */
export const postgresPool = (options: PostgresPoolOptions): PostgresPool => new DriverPool(options);

const defaults = {
  applicationName: "millrace",
  connectionsMax: 4,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
  lockTimeoutMs: 10_000,
  // A frozen process keeps its rows locked for so long, and the next owner of its tasks waits.
  pauseTimeoutMs: 5_000,
};
/** The server ends a statement itself; only a silent network needs the driver's own limit. */
const SILENCE_MARGIN_MS = 5_000;

class DriverPool implements PostgresPool {
  readonly address: string;
  readonly #pool: pg.Pool;
  readonly #fail = (error: unknown): never => {
    throw translate(error, this.address);
  };

  constructor(given: PostgresPoolOptions) {
    const options = { ...defaults, ...given };
    this.address = addressOfUrl(options.url);
    this.#pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.connectionsMax,
      connectionTimeoutMillis: options.connectTimeoutMs,
      query_timeout: options.statementTimeoutMs + SILENCE_MARGIN_MS,
      keepAlive: true,
      // pg-pool awaits a promise here, although its type says void.
      onConnect: (client) => prepareSession(client, options, this.address) as unknown as void,
    });
    // An idle connection that breaks is replaced at the next use, which reports what is wrong then.
    this.#pool.on("error", ignore);
  }

  query<R>(text: string, values: readonly unknown[] = []): Promise<QueryResult<R>> {
    return this.#withClient((client) => this.#run<R>(client, text, values));
  }

  async transaction<R>(work: (session: PostgresSession) => Promise<R>): Promise<R> {
    return this.#withClient(async (client) => {
      const session: PostgresSession = {
        query: <R>(text: string, values: readonly unknown[] = []) =>
          this.#run<R>(client, text, values),
      };
      await client.query(BEGIN);
      const result = await work(session);
      await this.#commit(client);
      return result;
    });
  }

  async lock(name: string): Promise<HeldLock | null> {
    const client = await this.#pool.connect().catch(this.#fail);
    const lost = new AbortController();
    client.on("error", () => lost.abort(new Error("the connection that held the lock has ended")));
    const give = (isBroken: boolean): void => client.release(isBroken);
    try {
      const text =
        "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0)) AS held";
      const { rows } = await this.#run<{ held: boolean }>(client, text, [name]);
      if (rows[0]?.held === true)
        // Thrown away: the connection's locks end with it.
        return { lost: lost.signal, release: () => Promise.resolve(give(true)) };
    } catch (error) {
      give(true);
      throw translate(error, this.address);
    }
    give(true);
    return null;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #run<R>(
    client: pg.ClientBase,
    text: string,
    values: readonly unknown[],
  ): Promise<QueryResult<R>> {
    try {
      const { rows, rowCount } = await client.query(text, [...values]);
      return { rows: rows as R[], count: rowCount ?? 0 };
    } catch (error) {
      throw translate(error, this.address, text);
    }
  }

  async #commit(client: pg.PoolClient): Promise<void> {
    try {
      const { command } = await client.query("COMMIT");
      assert(
        command === "COMMIT",
        "a transaction was committed after one of its statements failed",
      );
    } catch (error) {
      const fault = translate(error, this.address);
      if (!(fault instanceof PostgresError)) throw fault;
      // Class 40 is the server's own word that nothing was committed; every other interruption is not.
      if (fault.facts.fault === "transient" && !isRolledBack(fault))
        throw unknownOutcome(fault, this.address);
      // A constraint that a trigger has deferred again: no row can be named here.
      throw fault.facts.fault === "row" ? fault.asStop("refused at COMMIT") : fault;
    }
  }

  async #withClient<R>(work: (client: pg.PoolClient) => Promise<R>): Promise<R> {
    const client = await this.#pool.connect().catch(this.#fail);
    // Without a listener a connection that breaks between two statements would end the process.
    client.on("error", ignore);
    try {
      const result = await work(client);
      client.off("error", ignore);
      client.release();
      return result;
    } catch (error) {
      const fault = translate(error, this.address);
      const isReusable = await rollback(client, fault);
      client.off("error", ignore);
      client.release(!isReusable);
      throw fault;
    }
  }
}

// A deferred foreign key would be checked at COMMIT, where no row can be named.
const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE";

const ignore = (): void => undefined;

const isRolledBack = ({ facts }: PostgresError): boolean =>
  /^40/.test(facts.sqlState ?? "") || facts.doubt !== undefined;

const unknownOutcome = ({ facts }: PostgresError, address: string): CommitUnknownError =>
  new CommitUnknownError(
    "MILL_POSTGRES_UNAVAILABLE",
    { ...facts, detail: `the reply to COMMIT was lost (${facts.detail})` },
    address,
  );

/** False: the connection must be thrown away (it is broken, or its server has become read-only). */
async function rollback(client: pg.PoolClient, fault: unknown): Promise<boolean> {
  // 40, 55, 57014 and a RAISE leave the connection whole; after anything else a new one may find another server.
  if (fault instanceof PostgresError && fault.facts.fault === "transient")
    if (fault.facts.doubt === undefined)
      if (!/^(40|55|57014)/.test(fault.facts.sqlState ?? "")) return false;
  try {
    await client.query("ROLLBACK");
    return true;
  } catch {
    // The first error is the one to report.
    return false;
  }
}

const SSL_MODES = /^(disable|allow|prefer|require|verify-ca|verify-full|no-verify)$/;

/** The driver is asked at once: it would read the files of the URL in the middle of the first query. */
function addressOfUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol))
    throw invalid("expected postgres://user:password@host:port/database");
  const mode = parsed.searchParams.get("sslmode") ?? "prefer";
  // The driver would take any other for none, and connect without TLS.
  if (!SSL_MODES.test(mode)) throw invalid("sslmode is none of those that Postgres knows");
  try {
    void new pg.Client({ connectionString: url });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw invalid(`the driver cannot use it (${code ?? "no code"})`);
  }
  return shownAddress(`${parsed.hostname}:${parsed.port || "5432"}${parsed.pathname}`);
}

const invalid = (detail: string): ConfigError =>
  new ConfigError("MILL_CONFIG_INVALID", `DATABASE_URL: ${detail}`);
