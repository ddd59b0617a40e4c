// What a stream part is made of, and what it asks of a takeover.
import type { Assignment, GroupConsumer } from "../../core/kafka.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { LetterOrigin } from "../../sinks/letter.ts";
import type { TakeoverRequest } from "../../source/takeover.ts";
import type { WorkerContext } from "../context.ts";
import type { PartGate } from "../gate/pipeline-gate.ts";
import { partFacts, type BoundPart } from "../line/bind.ts";
import type { StreamEngine } from "./engine.ts";

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
  const { options, meta } = bound.plan;
  const { owner, limits } = context;
  const { transactionTimeoutMs } = limits;
  const part = partFacts(bound);
  return { ...share, part, owner, transactionTimeoutMs, start: options.start, meta };
}
