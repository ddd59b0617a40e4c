// compile(): from the nodes of a part to one function over a record. Operators become nested closures; a record's
// outputs are kept together, so that one that fails leaves none (one record, one outcome).
import { assert, MillraceError } from "../core/errors.ts";
import { UNWATCHED, type StepWatch } from "../core/loop-memory.ts";
import type { DecodedRecord, Outcome, Stage } from "../core/outcome.ts";
import { type OperatorFacts, type Part, type PlanNode, type PlanOptions } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import { isResult } from "../core/state-results.ts";
import { dueStoresOf } from "./agenda.ts";
import type { CallStep } from "./calls/map-async.ts";
import {
  armsOf,
  type CompileOptions,
  type DeferredChange,
  lateOf,
  type MakeOperator,
  newTrail,
  orderOf,
  type Next,
  type Operator,
  type OperatorCounts,
  type RefusedEffects,
  type Trail,
  type ReturnedRecords,
  type ReturnedResults,
} from "./operator.ts";
import { failureOf, thrown } from "./failures.ts";
import type { ReturnedEntries } from "./kept/given-up.ts";
import { enterAgain, entering, type Entrance } from "./group.ts";
import { behindQueues, operatorsAbove, sourcesOf, type SourceDelays } from "../core/upstream.ts";
import { WatchedCursor } from "./step-watch.ts";

const EMITTED: Outcome = { kind: "emitted" };
const QUEUED: Outcome = { kind: "emitted", isQueued: true };
const NULL_KEY: Outcome = { kind: "null-key" };
const REPEAT: Outcome = { kind: "deduplicated" };
const TOMBSTONE: Outcome = { kind: "tombstone" };

/** The times of a task, as far as its operators ask for them. */
export interface TaskTimes {
  watermarkOf(source: TopicName): number;
  /** Whether steps of the task have records in state, whose calls are repeated. */
  keepsRecords(): boolean;
}

/** The stores of one operator whose entries become due. */
export interface DueStores {
  readonly at: number;
  readonly stores: readonly string[];
}

/** A part, ready to run: its nodes as closures, and what they share. Places are those of its nodes. */
export class Program {
  readonly cursor: WatchedCursor;
  /** Cumulative, in the order of the plan. */
  readonly counts: readonly OperatorCounts[];
  /** By place; null where nothing queues. */
  readonly operators: (Operator | null)[];
  /** Places by group, in the order of work. */
  readonly groups: readonly (readonly number[])[];
  readonly refusals: RefusedEffects;
  readonly watch: StepWatch;
  readonly #part: Part;
  readonly #onError: PlanOptions["onError"];
  readonly #entries = new Map<string, Next>();
  /** The operator behind each place; where ways divide, the first of them. */
  readonly #followers: Next[] = [];
  /** Takes on what comes back of an operator: its results behind it, records that had waited there, and entries, in front of it. */
  readonly #returned: Next = (returned) => {
    const { cursor } = this;
    const of = returned as ReturnedResults | ReturnedRecords | ReturnedEntries;
    cursor.step = of.at;
    if ("entries" in of) {
      const enter = entering(cursor, { ...this.#entrance(of.at, 0), entry: "given-up" });
      for (const entry of of.entries) enter(entry);
    } else if ("values" in of) for (const value of of.values) (this.#returns[of.at] as Next)(value);
    else enterAgain(this.#entrance(of.at, 0), cursor, of);
  };
  /** The way of results that come back: behind their operator, and in front of one that calls. */
  readonly #returns: Next[] = [];
  readonly #filtered: readonly Outcome[];
  /** By place: the sources that it hangs behind, each with the delay of its watermark on the way. */
  readonly #sources: readonly SourceDelays[];
  /** By place: the operators above it whose results come there, each with their delay on the way. */
  readonly #above: readonly ReadonlyMap<number, number>[];
  /** By place: a step above it queues keys in state. */
  readonly #isBehindQueue: readonly boolean[];

  constructor(part: Part, options: CompileOptions) {
    const { nodes } = part;
    const names = nodes.map(({ name }) => name);
    this.watch = options.watch ?? UNWATCHED;
    this.cursor = new WatchedCursor(names, this.watch);
    this.counts = names.map((operator) => ({ operator, passed: 0, dropped: 0, failed: 0 }));
    this.operators = nodes.map(() => null);
    this.groups = part.groups.map((ids) => ids.map((id) => nodes.findIndex((n) => n.id === id)));
    this.refusals = options.refusals ?? { size: 0, checkEffect: () => undefined };
    this.#part = part;
    this.#onError = options.onError;
    this.#filtered = nodes.map(({ name }) => ({ kind: "filtered", by: name }));
    this.#sources = sourcesOf(nodes);
    this.#above = operatorsAbove(nodes);
    this.#isBehindQueue = behindQueues(nodes);
    this.#wire(nodes, options);
  }

  /**
   * The watermark in front of an operator: the least of its own inputs, never of the task (W2). Behind a step that keeps
   * records it does not move while there are some.
   */
  watermark(at: number, times: TaskTimes): number {
    return this.#watermark(at, times, null);
  }

  /** The same while the watermark of one source moves, and no other. */
  watermarks(moving: TopicName, times: TaskTimes): (at: number, watermark: number) => number {
    const others: number[] = [];
    return (at, watermark) => {
      const least = (others[at] ??= this.#watermark(at, times, moving));
      const delay = this.#sources[at]?.get(moving);
      return delay === undefined ? least : Math.min(least, watermark - delay);
    };
  }

  /**
   * The watermark in front of an operator while another one above it works what is due at `dueMs`: the time that has made it
   * due has not come there yet (W3). No record that it makes is behind it. Infinity where nothing of it comes there.
   */
  watermarkBehind(dueAt: number, dueMs: number, at: number): number {
    return dueMs === -Infinity ? dueMs : dueMs - (this.#above[at]?.get(dueAt) ?? -Infinity);
  }

  #watermark(at: number, times: TaskTimes, without: TopicName | null): number {
    if (this.#isBehindQueue[at] === true && times.keepsRecords()) return -Infinity;
    let least = Infinity;
    // mistake: one time a task
    for (const [source, delay] of this.#sources[at] as SourceDelays)
      if (source !== without) least = Math.min(least, times.watermarkOf(source) - delay);
    return least;
  }

  /** From the last node to the first, so every closure finds its followers. */
  #wire(nodes: readonly PlanNode[], options: CompileOptions): void {
    const { cursor } = this;
    const behind = new Map<number, Next[]>();
    const entries = new Map<string, Next[]>();
    for (let at = nodes.length - 1; at >= 0; at--) {
      const { id, inputs, facts, operation } = nodes[at] as PlanNode;
      const arms = armsOf({ facts, operation }, behind.get(id) ?? [], cursor);
      const next = all(arms);
      this.#followers[at] = resultsOf(facts, arms, next);
      const count = this.counts[at] as OperatorCounts;
      const wiring = { at, cursor, count, next, arms, options };
      const made = (facts.work as MakeOperator)(nodes[at] as PlanNode, wiring);
      const group = this.groups.findIndex((places) => places.includes(at));
      this.#returns[at] = this.#returnOf(facts, { group, at });
      if (typeof made !== "function") this.operators[at] = made;
      else if (facts.reads) unshift(entries, operation.topic?.name ?? "", made);
      for (const [input, above] of inputs.entries())
        unshift(
          behind,
          above,
          typeof made === "function" ? made : entering(cursor, { group, at, input }),
        );
    }
    for (const [topic, nexts] of entries) this.#entries.set(topic, all(nexts));
  }

  #returnOf({ calls }: OperatorFacts, of: { readonly group: number; readonly at: number }): Next {
    return calls === true
      ? entering(this.cursor, { ...of, input: 0 })
      : (this.#followers[of.at] as Next);
  }

  #entrance(at: number, input: number): Entrance {
    return { at, input, group: this.groups.findIndex((places) => places.includes(at)) };
  }

  /** Whether records queue in it, so that it must be run by `runBatch`. */
  get needsBatch(): boolean {
    return this.groups.length > 0;
  }

  /** Steps whose failing keys are queued in state. */
  get queueingSteps(): CallStep[] {
    const steps = this.operators as readonly (Partial<CallStep> | null)[];
    return steps.filter((step) => (step?.store ?? null) !== null) as CallStep[];
  }

  /** Operators whose entries become due, each with the stores of those by event time or by the wall clock. */
  dueOperators(clock: "event-time" | "wall-clock"): readonly DueStores[] {
    return this.operators.flatMap((operator) => {
      if (operator?.due === undefined) return [];
      const { wallStores = [] } = operator;
      const stores = clock === "wall-clock" ? wallStores : dueStoresOf(operator);
      return stores.length === 0 ? [] : [{ at: operator.at, stores }];
    });
  }

  /** Behind which a record of this topic comes in. */
  entry(topic: string): Next {
    const entry = this.#entries.get(topic) ?? (isResult({ topic }) ? this.#returned : undefined);
    if (entry === undefined) assert(false, `part ${this.#part.name} has no source ${topic}`);
    return entry;
  }

  /** Runs one record through every operator behind its source; what it made is in the stage, or nothing is. */
  run(record: DecodedRecord, stage: Stage): Outcome {
    const trail = newTrail(stage.index, null, orderOf(stage.index));
    this.cursor.takes(record, trail);
    return (
      this.#staged(stage, this.entry(record.raw.topic), record.value) ??
      this.outcomeOf(trail, record)
    );
  }

  /** Emits a deferred change downstream; returns what failed, or null. */
  emitDeferred({ at, record, trail, value }: DeferredChange, stage: Stage): Outcome | null {
    const { cursor } = this;
    cursor.takes(record, trail);
    cursor.queues = null;
    cursor.begin();
    return this.#staged(stage, this.#followers[at] as Next, value);
  }

  #staged(stage: Stage, next: Next, value: unknown): Outcome | null {
    const outputs = stage.outputs.length;
    const rows = stage.rows.length;
    this.cursor.stage = stage;
    try {
      next(value);
      this.cursor.passed();
      return null;
    } catch (error) {
      this.cursor.passed();
      stage.outputs.length = outputs;
      stage.rows.length = rows;
      return this.failed(error);
    }
  }

  outcomeOf(trail: Trail, record: DecodedRecord): Outcome {
    const { emitted, isQueued, isRepeat, nullKey, last } = trail;
    if (isQueued) return QUEUED;
    if (emitted > 0) return EMITTED;
    const late = lateOf(trail);
    if (late !== null) return { kind: "late", by: late };
    if (isRepeat) return REPEAT;
    if (nullKey) return NULL_KEY;
    return record.value === undefined ? TOMBSTONE : (this.#filtered[last] as Outcome);
  }

  /** That of the record that came in, whatever a step has made of it. */
  get #originMs(): number {
    const { trail, record } = this.cursor;
    return trail.origin === null ? record.originMs : trail.origin.time;
  }

  /** The outcome of a record after an error at the current node. Throws the error when it is not the record's. */
  failed(error: unknown): Outcome {
    const { step } = this.cursor;
    const node = this.#part.nodes[step] as PlanNode;
    (this.counts[step] as OperatorCounts).failed++;
    const known = error instanceof MillraceError ? error : thrown(error, node, this.#onError);
    if (known.disposition === "halt") return { kind: "halted", error: known };
    if (known.disposition !== "dead-letter") throw known;
    return {
      kind: "dead-lettered",
      failure: { ...failureOf(known, node), originMs: this.#originMs },
    };
  }
}

export const compile = (part: Part, options: CompileOptions): Program => new Program(part, options);

/** Results go on by the first way where ways divide. */
const resultsOf = ({ divides }: OperatorFacts, arms: readonly Next[], next: Next): Next =>
  divides === true ? all(arms.slice(0, 1)) : next;

const unshift = <T>(lists: Map<T, Next[]>, at: T, next: Next): void => {
  const list = lists.get(at);
  if (list === undefined) lists.set(at, [next]);
  else list.unshift(next);
};

/** Calls each follower in the order of the plan. */
function all(nexts: readonly Next[]): Next {
  const [first, second] = nexts;
  if (first === undefined) return () => undefined;
  if (second === undefined) return first;
  return (value) => {
    for (const next of nexts) next(value);
  };
}
