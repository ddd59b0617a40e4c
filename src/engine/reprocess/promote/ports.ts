// The ports of a promotion beside those of operating: the run's row, tables that change places, and somebody
// who keeps the run's workers at work.
import { MillraceError } from "../../core/errors.ts";
import type { SchemaRegistry } from "../../core/ports.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import type { Runs } from "../words/rows.ts";
import type { RunRow } from "../words/run.ts";
import type { PromoteTables } from "../swap/turns.ts";

/** The run's workers, who end by themselves when the run is where live has stopped. */
export interface Follower {
  /** Resolves with what ended them. */
  readonly ended: Promise<string>;
}

/** Throws MILL_RUN_FAILED, when called, once they have ended. */
export function checkOf({ ended }: Follower): () => void {
  const life: { ending?: string } = {};
  void ended.then((why) => (life.ending = why));
  return () => {
    if (life.ending === undefined) return;
    throw new MillraceError("MILL_RUN_FAILED", `its workers have ended (${life.ending})`);
  };
}

export interface PromotePorts extends OperatePorts {
  readonly runs: Pick<Runs, "find" | "update" | "list">;
  readonly registry: Pick<SchemaRegistry, "schemaById">;
  readonly tables: PromoteTables;
  /** Starts the run's workers, unless they are at work already. The maker of these ports ends them. */
  follow(row: RunRow): Promise<Follower>;
  /** A line for people: the wait that begins. */
  say(line: string): void;
}
