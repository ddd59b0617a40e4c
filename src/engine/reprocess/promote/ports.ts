// What a promotion needs of the world beside what operating needs: the run's row, tables that change places, and somebody
// who keeps the run's workers at work.
import type { SchemaRegistry } from "../../core/ports.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import type { Runs } from "../words/rows.ts";
import type { RunRow } from "../words/run.ts";
import type { PromoteTables } from "../swap/turns.ts";

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
