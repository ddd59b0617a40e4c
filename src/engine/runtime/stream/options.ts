// What stream parts and their tasks are made of, what a part asks of a takeover, and what a checkpoint takes from a task.
import type { Assignment, GroupConsumer, GroupGeneration } from "../../core/kafka.ts";
import type { StagedTask } from "../../checkpoint/commit.ts";
import type { LedgerCounts } from "../../core/ledger.ts";
import {
  formerGroups,
  isNamedBySource,
  mainGroup,
  readerOf,
  takenGroups,
} from "../../core/pieces.ts";
import type { RawRecord, TopicPartition } from "../../core/record.ts";
import type { LetterOrigin } from "../../letters/letter.ts";
import type { Naming } from "../../source/inherit.ts";
import type { Valve } from "../../source/inbox.ts";
import type { TakenOver, TakeoverRequest } from "../../source/takeover.ts";
import type { OpenStores } from "../../state/task-stores.ts";
import type { WorkerContext } from "../context.ts";
import type { Breaker } from "../gate/breaker.ts";
import type { PartGate } from "../gate/pipeline-gate.ts";
import { partFacts, type BoundPart } from "../line/bind.ts";
import type { Refusals } from "../line/refusals.ts";
import type { StreamEngine } from "./engine.ts";
import type { Probation } from "./refused/probation.ts";
import type { SealedState } from "./keyed/state.ts";
import type { StreamTask } from "./task.ts";

export interface StreamPartOptions {
  readonly bound: BoundPart;
  readonly context: WorkerContext;
  readonly engine: StreamEngine;
  readonly letters: LetterOrigin;
  readonly gate: PartGate;
  /** A new member of the part's group. */
  join(bound: BoundPart): GroupConsumer;
}

/** What of an assignment is taken over. */
export interface Share {
  readonly assignment: Assignment;
  readonly partitions: readonly TopicPartition[];
}

export function takeoverOf({ bound, context }: StreamPartOptions, share: Share): TakeoverRequest {
  const { options, meta, letterStates } = bound.plan;
  const { owner, limits } = context;
  const { transactionTimeoutMs, sessionTimeoutMs } = limits;
  const known = { part: partFacts(bound), naming: namingOf(bound), owner, meta, letterStates };
  return { ...share, ...known, transactionTimeoutMs, sessionTimeoutMs, start: options.start };
}

const namingOf = ({ plan, part }: BoundPart): Naming => ({
  isNamed: isNamedBySource(part),
  main: mainGroup(part),
  former: (topic) => formerGroups(plan, part, topic),
  taken: (topic) => takenGroups(plan, part, topic),
  isOwn: (order) => readerOf(plan, order.part, order.origin.topic) === part,
});

/** A stage that a checkpoint took: what to write, and what to publish when it is written. */
export interface TaskCheckpoint extends StagedTask {
  readonly task: StreamTask;
  readonly state: SealedState | null;
  readonly records: number;
  /** Outputs from this index on tell changes that were held until the checkpoint. */
  readonly heldFrom: number;
  /** Records that changed anything: those that were read, and those that had waited in state. */
  readonly units: number;
  /** The record, where it is a single one. */
  readonly only: RawRecord | null;
  readonly refusals: Refusals;
  /** What this checkpoint adds to the ledger. */
  readonly delta: LedgerCounts;
}

export interface StreamTaskOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly partition: number;
  readonly generation: GroupGeneration;
  readonly starts: readonly TakenOver[];
  readonly valve: Valve;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  /** Null in a part without state and calls. */
  readonly stores: OpenStores | null;
  /** Null while the task commits with the others. */
  probation(): Probation | null;
  /** Told how many records were staged. */
  note(records: number): void;
}
