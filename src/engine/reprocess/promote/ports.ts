// What a promotion needs of the world beside what operating needs: the run's row, tables that change places, and somebody
// who keeps the run's workers at work.
import type { LedgerCounts } from "../../core/ledger.ts";
import type { SchemaRegistry, SinkTaskId } from "../../core/ports.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import type { Runs } from "../words/rows.ts";
import type { RunRow } from "../words/run.ts";
import type { TableTurn } from "../swap/swap.ts";

/** Progress of a table's task, put elsewhere under a raised epoch; null leaves as it is. */
export interface ProgressMove {
  readonly task: SinkTaskId;
  readonly nextOffset: bigint | null;
  readonly ledger: LedgerCounts | null;
}

export interface Swapping {
  readonly row: Pick<RunRow, "pipeline" | "run">;
  readonly turns: readonly TableTurn[];
  readonly moves: readonly ProgressMove[];
  /** The run's step, which is changed with the tables or not at all. */
  readonly from: string;
  readonly to: string;
}

export interface PromoteTables {
  /** What forbids the swap, one line each. */
  obstacles(turns: readonly TableTurn[]): Promise<readonly string[]>;
  /** Tables, progress and step in one transaction; nothing when the step is `to` already. */
  swap(swapping: Swapping): Promise<void>;
}

/** The run's workers, who end by themselves when the run is where live stands. */
export interface Follower {
  /** Resolves with what ended them. */
  readonly ended: Promise<string>;
}

export interface PromotePorts extends OperatePorts {
  readonly runs: Pick<Runs, "find" | "update" | "list">;
  readonly registry: Pick<SchemaRegistry, "schemaById">;
  readonly tables: PromoteTables;
  /** Starts the run's workers, unless they are at work already. Whoever made these ports ends them. */
  follow(row: RunRow): Promise<Follower>;
  /** Told what is waited for. */
  say(line: string): void;
}
