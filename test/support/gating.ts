// Shutting and opening the gate of a fleet's pipelines as commands do, and looking at what comes of it.
import { MillraceError } from "../../src/engine/core/errors.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OperatePorts } from "../../src/engine/operate/choice.ts";
import { isDrained } from "../../src/engine/operate/gate/drained.ts";
import { openGate, shutGate } from "../../src/engine/operate/gate/gate.ts";
import {
  type GateNote,
  readGate,
  type ShutState,
  storesRecord,
} from "../../src/engine/notes/gate-note.ts";
import { idleParts } from "../../src/engine/core/progress.ts";
import type { WorkerLimits } from "../../src/engine/runtime/context.ts";
import type { Fleet } from "./fleet.ts";

const OWNER = "promote of run 7";

export function operatePorts(fleet: Fleet): OperatePorts {
  const kafka = fleet.kafka.port();
  const tables = fleet.tables;
  return {
    kafka,
    admin: kafka.admin(),
    clock: fleet.clock,
    tableStore: ({ declaration }) =>
      tables.store(declaration as Parameters<typeof tables.store>[0]),
    stateCopies: () => fleet.copies,
  };
}

const planOf = (fleet: Fleet, name?: string): Plan =>
  fleet.plans.find(({ pipeline }) => pipeline === name) ?? (fleet.plans[0] as Plan);

export const noteOf = (fleet: Fleet, state: ShutState, owner = OWNER): GateNote => ({
  state,
  by: "promote",
  code: "MILL_GATE_HELD",
  message: "run 7 is being promoted",
  atMs: fleet.clock.now(),
  owner,
  run: 7,
});

export const shut = (fleet: Fleet, state: ShutState, name?: string): Promise<void> =>
  fleet.during(shutGate(planOf(fleet, name), noteOf(fleet, state), { ports: operatePorts(fleet) }));

export const open = (fleet: Fleet, name?: string): Promise<void> =>
  fleet.during(openGate(planOf(fleet, name), OWNER, { ports: operatePorts(fleet) }));

export const gateOf = (fleet: Fleet, name?: string): Promise<GateNote | null> =>
  fleet.during(readGate(planOf(fleet, name), operatePorts(fleet)));

export const hasDrained = (fleet: Fleet, name?: string): Promise<boolean> =>
  fleet.during(isDrained(planOf(fleet, name), operatePorts(fleet)));

/** Looks until no group of the pipeline has a member. */
export async function emptied(fleet: Fleet, name?: string): Promise<void> {
  for (let spent = 0; spent < 60; spent++) {
    if (await fleet.during(isEmpty(planOf(fleet, name), operatePorts(fleet)))) return;
    await fleet.clock.advance(500);
  }
  throw new MillraceError("MILL_ENGINE_INVARIANT", "the groups do not become empty");
}

/** Puts the pipeline on the stores of a run. */
export const pointTo = (fleet: Fleet, run: number | null, name?: string): Promise<void> =>
  fleet.sendRecords([storesRecord(planOf(fleet, name).meta, run)]);

/** Workers that never look by themselves: what their takeovers read is all they know. */
export const blind: Partial<WorkerLimits> = { gateLookMs: 1e9 };

/**
 * Does something when the next worker has looked at everything and is about to join its first group; that worker is slow to
 * leave, so that what it must not read meanwhile would be seen. Returns how often it was done.
 */
export function beforeJoining(fleet: Fleet, work: () => Promise<void>): () => number {
  let times = 0;
  fleet.wrapPort = (port) => ({
    producer: () => port.producer(),
    txProducer: (options) => port.txProducer(options),
    admin: () => port.admin(),
    reader: (options) => port.reader(options),
    close: () => port.close(),
    consumer: (options) => {
      const consumer = port.consumer(options);
      const start = consumer.start.bind(consumer);
      const stop = consumer.stop.bind(consumer);
      consumer.stop = async () => {
        await fleet.clock.sleep(5_000);
        return stop();
      };
      consumer.start = async (handlers) => {
        if (times++ === 0) await work();
        return start(handlers);
      };
      return consumer;
    },
  });
  return () => times;
}

/** Whether no group of the pipeline has a member. */
export async function isEmpty(
  { parts }: Plan,
  { admin }: Pick<OperatePorts, "admin">,
): Promise<boolean> {
  return (await idleParts(parts, admin)).length === parts.length;
}
