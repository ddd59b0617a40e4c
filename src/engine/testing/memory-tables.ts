// A database in memory behind the port of tables: rows by primary key, progress with epochs, the outbox, each commit all
// or nothing. Keys, ages and the order of values are those of the Postgres sink, from the same code.
import { DependencyError, FencedError } from "../core/errors.ts";
import { emptyLedger } from "../core/ledger.ts";
import type { Correction } from "../core/plan.ts";
import type { TopicPartition } from "../core/record.ts";
import type {
  PendingLetter,
  RowRefusal,
  SinkCommit,
  SinkProgress,
  SinkResult,
  SinkTaskId,
  TableStore,
} from "../core/ports.ts";
import {
  MemoryTable,
  type MemoryTableSpec,
  type RefuseRow,
  type RowObject,
} from "./memory-tables/table.ts";
import { WorkerSwitch } from "./doubles/worker-switch.ts";

/** The outcome of a commit whose reply was lost. */
type Loss = "applied" | "dropped";
type RefuseRowOf = (row: RowObject, table: string) => RowRefusal | null;
type TurnName = "schema" | "live" | "incoming" | "retired";

export class MemoryTables {
  readonly #tables = new Map<string, MemoryTable>();
  readonly #progress = new Map<string, SinkProgress>();
  readonly #letters = new Map<string, Map<string, PendingLetter>>();
  readonly #losses: Loss[] = [];
  #isAvailable = true;
  #refuse: RefuseRowOf = () => null;

  /** The table as one worker reaches it; what it declares as always there is there. */
  store(
    table: MemoryTableSpec,
    worker: WorkerSwitch = new WorkerSwitch(),
    corrects?: Correction,
  ): TableStore {
    const stored = this.#table(table);
    const through = <T>(work: () => T | Promise<T>): Promise<T> => this.#call(worker, work);
    return {
      takeOver: (task, start) => through(() => this.#takeOver(task, start)),
      commit: (commit) => through(() => this.#commit(stored, commit, corrects)),
      progress: (task) => through(() => this.#read(task)),
      reset: (task, nextOffset) =>
        through(() => {
          const epoch = (this.#read(task)?.epoch ?? 0n) + 1n;
          return this.#write(task, { nextOffset, epoch });
        }),
      pendingLetters: (task, lettersMax) =>
        through(() => [...this.#lettersOf(task).values()].slice(0, lettersMax)),
      forget: (task, ids) =>
        through(() => {
          for (const id of ids) this.#lettersOf(task).delete(id);
        }),
    };
  }

  /** The rows of a table as plain objects, by primary key. */
  rows(table: MemoryTableSpec): readonly RowObject[] {
    return this.#table(table).rows();
  }

  /** While away, every call fails with MILL_POSTGRES_UNAVAILABLE. */
  setAvailable(isAvailable: boolean): void {
    this.#isAvailable = isAvailable;
  }

  /** The next COMMIT gets no reply; it was applied or it was dropped, and the store must find out which. Calls add up. */
  loseNextCommitReply(truth: Loss = "applied"): void {
    this.#losses.push(truth);
  }

  /** Refuses rows beside those that their columns refuse. Replaces the last such rule. */
  refuseRows(refuse: RefuseRowOf): void {
    this.#refuse = refuse;
  }

  /** The incoming table takes the live one's name, which steps back to another. */
  turn({ schema, live, incoming, retired }: Readonly<Record<TurnName, string>>): void {
    const [has, comes] = [live, incoming].map((name) => this.#tables.get(`${schema}.${name}`));
    this.#tables.delete(`${schema}.${incoming}`);
    if (has !== undefined) this.#tables.set(`${schema}.${retired}`, has);
    if (comes !== undefined) this.#tables.set(`${schema}.${live}`, comes);
  }

  /** Fences the owner, and puts progress elsewhere where that is said. */
  move(task: SinkTaskId, to: Partial<Pick<SinkProgress, "nextOffset" | "ledger">>): void {
    const stored = this.#read(task);
    if (stored !== null) this.#write(task, { ...stored, ...to, epoch: stored.epoch + 1n });
  }

  #table(table: MemoryTableSpec): MemoryTable {
    const name = `${table.schema}.${table.name}`;
    const found = this.#tables.get(name) ?? new MemoryTable(table);
    this.#tables.set(name, found);
    return found;
  }

  async #call<T>(worker: WorkerSwitch, work: () => T | Promise<T>): Promise<T> {
    await worker.passed();
    try {
      this.#checkAvailable();
      return await work();
    } finally {
      await worker.passed();
    }
  }

  #checkAvailable(): void {
    if (!this.#isAvailable)
      throw new DependencyError("MILL_POSTGRES_UNAVAILABLE", "the database does not answer");
  }

  async #takeOver(task: SinkTaskId, start: () => Promise<bigint>): Promise<SinkProgress> {
    if (this.#read(task) === null) {
      const nextOffset = await start();
      this.#checkAvailable();
      // Another owner may have begun meanwhile: what is stored counts.
      if (this.#read(task) === null) this.#write(task, { nextOffset, epoch: 0n });
    }
    const { nextOffset, epoch, ledger } = this.#read(task) as SinkProgress;
    return this.#write(task, { nextOffset, epoch: epoch + 1n, ledger });
  }

  #commit(table: MemoryTable, commit: SinkCommit, corrects: Correction | undefined): SinkResult {
    const { task, epoch, nextOffset } = commit;
    const stored = this.#read(task);
    if (stored?.epoch !== epoch || stored.nextOffset !== commit.expectedOffset)
      throw new FencedError("MILL_SINK_FENCED", describe(stored, commit));
    const refuse: RefuseRow = (row) => this.#refuse(row, table.name);
    const change = table.plan(commit.rows, { task: placeOf(commit), corrects, refuse });
    const letters = change.refused.map(({ row, refusal }) => commit.refused(row, refusal));
    const outcomes = commit.outcomes?.(change.result) ?? [];
    const ledger = commit.ledger(change.result);
    // Nothing above has changed anything, and nothing below can fail: all or nothing.
    const loss = this.#losses.shift() ?? null;
    if (loss !== "dropped") {
      change.apply();
      for (const letter of [...commit.letters, ...letters, ...outcomes])
        this.#lettersOf(task).set(letter.id, letter);
      this.#write(task, { nextOffset, epoch, ledger });
    }
    if (loss !== null) this.#resolve(commit);
    return change.result;
  }

  /** After a lost reply, progress shows whether the commit was applied. */
  #resolve({ task, epoch, nextOffset }: SinkCommit): void {
    const stored = this.#read(task);
    if (stored?.epoch === epoch && stored.nextOffset === nextOffset) return;
    throw new DependencyError("MILL_POSTGRES_UNAVAILABLE", "the connection was lost in COMMIT");
  }

  #read(task: SinkTaskId): SinkProgress | null {
    const stored = this.#progress.get(textOf(task));
    return stored === undefined ? null : structuredClone(stored);
  }

  #write(
    task: SinkTaskId,
    progress: Omit<SinkProgress, "ledger"> & Partial<SinkProgress>,
  ): SinkProgress {
    const stored = structuredClone({ ledger: emptyLedger(), ...progress });
    this.#progress.set(textOf(task), stored);
    return structuredClone(stored);
  }

  #lettersOf(task: SinkTaskId): Map<string, PendingLetter> {
    const letters = this.#letters.get(textOf(task)) ?? new Map<string, PendingLetter>();
    this.#letters.set(textOf(task), letters);
    return letters;
  }
}

/** The partition from which the rows' records come. */
const placeOf = ({ origin, task }: SinkCommit): TopicPartition => origin ?? task;

const textOf = ({ pipeline, part, topic, partition }: SinkTaskId): string =>
  JSON.stringify([pipeline, part, topic, partition]);

const describe = (stored: SinkProgress | null, commit: SinkCommit): string =>
  `expected epoch ${String(commit.epoch)} at ${String(commit.expectedOffset)}, ` +
  (stored === null
    ? "found no progress"
    : `found epoch ${String(stored.epoch)} at ${String(stored.nextOffset)}`);
