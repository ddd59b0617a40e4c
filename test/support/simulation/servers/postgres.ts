// A Postgres in memory behind the engine's own pool port: transactions that see what is committed, row locks, deadlocks,
// savepoints, constraints, and COMMITs whose reply is lost. The engine's table store runs on it as it is; the statements
// that it sends are understood by statements.ts.
import {
  CommitUnknownError,
  PostgresError,
} from "../../../../src/engine/clients/postgres/fault.ts";
import type {
  PostgresPool,
  PostgresSession,
  QueryResult,
} from "../../../../src/engine/clients/postgres/pool.ts";
import type { Clock } from "../../../../src/engine/core/ports.ts";
import type { WorkerSwitch } from "../../../../src/engine/testing/doubles/worker-switch.ts";
import type { Strike } from "./points.ts";
import { callOf, execute, type Refuses, type StoredRow } from "./statements.ts";

const ADDRESS = "simulated:5432/db";
const SNAPSHOTS_MAX = 8;
/** A frozen session is ended by the server after this long (idle_in_transaction_session_timeout). */
const IDLE_MS = 500;

export const unavailable = (detail: string, sqlState: string | null = null): PostgresError =>
  new PostgresError("MILL_POSTGRES_UNAVAILABLE", { fault: "transient", sqlState, detail }, ADDRESS);
const unknown = (): CommitUnknownError =>
  new CommitUnknownError(
    "MILL_POSTGRES_UNAVAILABLE",
    { fault: "transient", sqlState: null, detail: "the reply to COMMIT was lost" },
    ADDRESS,
  );

/** Rows by name; a name says table and key. Null: deleted by this transaction. */
type Data = Map<string, StoredRow | null>;

/** One transaction: what it has changed, and what it has locked. */
export class Transaction {
  readonly #server: SimulatedPostgres;
  changes: Data = new Map();
  locks: string[] = [];
  readonly savepoints: { name: string; changes: Data; locks: number }[] = [];
  waitsFor: Transaction | null = null;
  isOver = false;

  constructor(server: SimulatedPostgres) {
    this.#server = server;
  }

  get(name: string): StoredRow | null {
    const own = this.changes.get(name);
    return own === undefined ? (this.#server.committed.get(name) ?? null) : own;
  }

  /** All rows whose name begins so, in the order of their making. */
  *of(prefix: string): Iterable<[string, StoredRow]> {
    const names = new Set([...this.#server.committed.keys(), ...this.changes.keys()]);
    for (const name of names) {
      const row = name.startsWith(prefix) ? this.get(name) : null;
      if (row !== null) yield [name, row];
    }
  }

  set(name: string, row: StoredRow | null): void {
    this.changes.set(name, row);
  }

  /** Resolves when the row is this transaction's alone. */
  lock(name: string): Promise<void> {
    return this.#server.lock(this, name);
  }

  savepoint(name: string): void {
    this.savepoints.push({ name, changes: new Map(this.changes), locks: this.locks.length });
  }

  rollbackTo(name: string): void {
    const found = this.savepoints.findLast((one) => one.name === name);
    if (found === undefined) throw new TypeError(`no savepoint ${name}`);
    this.changes = new Map(found.changes);
    this.#server.release(this, found.locks);
  }

  releaseSavepoint(name: string): void {
    this.savepoints.splice(this.savepoints.findLastIndex((one) => one.name === name));
  }
}

export class SimulatedPostgres {
  readonly #clock: Clock;
  readonly #strike: Strike;
  committed = new Map<string, StoredRow>();
  readonly #locks = new Map<string, Transaction>();
  readonly #waiting: (() => void)[] = [];
  readonly #open = new Set<Transaction>();
  readonly #history: Map<string, StoredRow>[] = [];
  #sequence = 0;
  isAvailable = true;
  failovers = 0;
  /** Circles of transactions that waited for each other. */
  deadlocks = 0;
  refuses: Refuses = () => null;

  constructor(clock: Clock, strike: Strike) {
    this.#clock = clock;
    this.#strike = strike;
  }

  nextSequence(): number {
    return ++this.#sequence;
  }

  /** The database as one worker reaches it. */
  pool(worker: WorkerSwitch): PostgresPool {
    const transaction = <R>(work: (session: PostgresSession) => Promise<R>): Promise<R> =>
      this.#transaction(worker, work);
    return {
      address: ADDRESS,
      transaction,
      query: <R>(text: string, values: readonly unknown[] = []) =>
        this.#alone<R>(worker, text, values),
      lock: () => Promise.resolve(null),
      close: () => Promise.resolve(),
    };
  }

  /** A statement outside a transaction is one of its own; its reply is that of its commit. */
  async #alone<R>(
    worker: WorkerSwitch,
    text: string,
    values: readonly unknown[],
  ): Promise<QueryResult<R>> {
    const transaction = this.#begin(worker);
    try {
      const work = (): Promise<QueryResult<R>> =>
        this.#run(transaction, text, values).then((result) => {
          this.#commit(transaction);
          return result as QueryResult<R>;
        });
      return await this.#call(worker, callOf(text), work);
    } finally {
      this.#end(transaction);
    }
  }

  async #transaction<R>(
    worker: WorkerSwitch,
    work: (session: PostgresSession) => Promise<R>,
  ): Promise<R> {
    const transaction = this.#begin(worker);
    try {
      const query = <T>(text: string, values: readonly unknown[] = []): Promise<QueryResult<T>> =>
        this.#call(worker, callOf(text), () =>
          this.#run(transaction, text, values).then((result) => result as QueryResult<T>),
        );
      await this.#call(worker, "begin", () => Promise.resolve());
      const result = await work({ query });
      await this.#committing(worker, transaction);
      return result;
    } finally {
      this.#end(transaction);
    }
  }

  async #committing(worker: WorkerSwitch, transaction: Transaction): Promise<void> {
    let isSent = false;
    try {
      await this.#call(worker, "commit", () => {
        isSent = true;
        this.#check(transaction);
        this.#commit(transaction);
        return Promise.resolve();
      });
    } catch (error) {
      // Whether it was lost on the way there or back, its sender cannot tell.
      if (error instanceof PostgresError && (isSent || error.facts.sqlState === null))
        throw unknown();
      throw error;
    }
  }

  /** One statement and its reply. */
  async #call<T>(worker: WorkerSwitch, call: string, work: () => Promise<T>): Promise<T> {
    await worker.passed();
    const verdict = await this.#strike({ server: "postgres", call, worker });
    await worker.passed();
    if (!this.isAvailable || verdict.lose === "request") throw unavailable("ECONNRESET");
    if (verdict.lose === "deadlock") throw unavailable("40P01 deadlock", "40P01");
    try {
      const result = await work();
      await verdict.taken?.();
      await worker.passed();
      if (verdict.lose === "reply") throw unavailable("ECONNRESET");
      return result;
    } finally {
      await worker.passed();
    }
  }

  async #run(
    transaction: Transaction,
    text: string,
    values: readonly unknown[],
  ): Promise<QueryResult<unknown>> {
    this.#check(transaction);
    const result = await execute(this, transaction, { text, values });
    this.#check(transaction);
    return result;
  }

  #check({ isOver }: Transaction): void {
    if (isOver) throw unavailable("25P03 idle", "25P03");
  }

  /** Ends with its session: at once when the worker dies, after a while when it stands still. */
  #begin(worker: WorkerSwitch): Transaction {
    const transaction = new Transaction(this);
    this.#open.add(transaction);
    const unwatch = worker.watch((state) => {
      if (transaction.isOver) return unwatch();
      if (state === "crashed") this.#end(transaction);
      if (state === "frozen") {
        const idle = this.#clock.sleep(IDLE_MS).then(() => {
          if (worker.state !== "running") this.#end(transaction);
        });
        idle.catch(() => undefined);
      }
    });
    return transaction;
  }

  #commit(transaction: Transaction): void {
    for (const [name, row] of transaction.changes)
      if (row === null) this.committed.delete(name);
      else this.committed.set(name, row);
    if (transaction.changes.size > 0) {
      this.#history.push(new Map(this.committed));
      if (this.#history.length > SNAPSHOTS_MAX) this.#history.shift();
    }
    this.#end(transaction);
  }

  #end(transaction: Transaction): void {
    if (transaction.isOver) return;
    transaction.isOver = true;
    this.#open.delete(transaction);
    this.release(transaction, 0);
  }

  release(transaction: Transaction, kept: number): void {
    for (const name of transaction.locks.splice(kept)) this.#locks.delete(name);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async lock(transaction: Transaction, name: string): Promise<void> {
    for (;;) {
      this.#check(transaction);
      const owner = this.#locks.get(name);
      if (owner === transaction) return;
      if (owner === undefined) break;
      transaction.waitsFor = owner;
      if (isCircle(transaction)) {
        transaction.waitsFor = null;
        this.deadlocks++;
        throw unavailable("40P01 deadlock", "40P01");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      transaction.waitsFor = null;
    }
    this.#locks.set(name, transaction);
    transaction.locks.push(name);
  }

  /** A standby takes over that lacks the last commits; every connection is lost. */
  failOver(commitsLost: number): boolean {
    const old = this.#history.at(-1 - commitsLost);
    if (old === undefined) return false;
    for (const transaction of [...this.#open]) this.#end(transaction);
    this.failovers++;
    this.committed = new Map(old);
    return true;
  }
}

function isCircle(start: Transaction): boolean {
  for (let at = start.waitsFor; at !== null; at = at.waitsFor) if (at === start) return true;
  return false;
}
