// One verb of the command line on the servers of a fleet, in its virtual time, with or without workers at it.
import type { PostgresTable } from "#engine";
import type { PlansOf } from "../../src/cli/connection.ts";
import type { Register } from "../../src/cli/io.ts";
import type { ConnectOperate } from "../../src/cli/operating.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../src/engine/core/plan-settings.ts";
import { command, type CommandResult } from "./command.ts";
import type { Fleet } from "./fleet.ts";

type Verb = (connect: ConnectOperate, plans: PlansOf) => Register;

export function fleetCommand(
  fleet: Fleet,
  verb: Verb,
  argv: readonly string[],
): Promise<CommandResult> {
  const connect: ConnectOperate = () => {
    const kafka = fleet.kafka.port();
    return Promise.resolve({
      kafka,
      registry: fleet.registry,
      clock: fleet.clock,
      ...DEFAULT_PLAN_SETTINGS,
      tableStore: ({ declaration }) => fleet.tables.store(declaration as PostgresTable<unknown>),
      stateCopies: () => fleet.copies,
      close: () => kafka.close(),
    });
  };
  return fleet.during(
    command(
      verb(connect, () => fleet.plans),
      argv,
    ),
  );
}

/** What a command printed with --json. */
export const jsonOf = <T>({ out }: CommandResult): T[] => out.map((line) => JSON.parse(line) as T);
