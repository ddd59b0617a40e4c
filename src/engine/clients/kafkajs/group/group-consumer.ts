// A member of a consumer group that never lets go of a rule: what is read carries the generation it was read under,
// hooks are awaited before the group moves on, and nothing of an old generation is delivered after them.
import { setTimeout as delay } from "node:timers/promises";
import type {
  Assignment,
  ConsumerHandlers,
  ConsumerOptions,
  GroupConsumer,
  GroupGeneration,
  Progress,
} from "../../../core/kafka.ts";
import type { MillraceError } from "../../../core/errors.ts";
import { assert, FencedError } from "../../../core/errors.ts";
import type { Log } from "../../../core/ports.ts";
import type { TopicPartition } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { checked, codeOf, codes, isDefect, missingTopic, translate } from "../failures.ts";
import { offsetCommitRequest } from "../protocol/offsets.ts";
import type { BatchBounds } from "../protocol/records/batch-bounds.ts";
import type { Work } from "../rights.ts";
import { Fetching } from "./fetching.ts";
import { Membership, topicsOf } from "./membership.ts";
import { MemberSession } from "./session.ts";

const commitDeadlineMs = 30_000;
const rejoinPauseMs = { first: 20, max: 1_000, refused: 5_000 } as const;
/** The time that a stop waits for an answer of the group before it closes the sockets; a session that is shorter ends before. */
const leaveMsMax = 5_000;
/** Codes that mean "join again" while joining; they are no failures. */
const rejoinCodes = new Set<number>([
  codes.rebalanceInProgress,
  codes.illegalGeneration,
  codes.unknownMemberId,
]);

/** A single answer may be lost by a broken connection alone. */
const unansweredMax = 2;

/**
 * idle → start() → joining → (onAssigned) → member → (onRevoked) → joining …; stop() or a fatal error → ended.
 * While a member, heartbeats flow by themselves, also during the hooks; only JoinGroup ends them.
 */
export class KafkaGroupConsumer implements GroupConsumer {
  readonly #cluster: Cluster;
  readonly #options: ConsumerOptions;
  readonly #log: Log;
  readonly #bounds: BatchBounds;
  readonly #membership: Membership;
  #running: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;
  #isStopping = false;
  #session: MemberSession | null = null;
  #fetching: Fetching | null = null;
  #handlers: ConsumerHandlers | null = null;
  #failedJoins = 0;

  constructor(cluster: Cluster, options: ConsumerOptions, log: Log, bounds: BatchBounds) {
    this.#cluster = cluster;
    this.#bounds = bounds;
    this.#options = options;
    this.#log = log;
    this.#membership = new Membership(cluster, options);
    cluster.want(topicsOf(options));
  }

  get isAway(): boolean {
    return (this.#session?.missedBeats ?? this.#failedJoins) >= unansweredMax;
  }

  async start(handlers: ConsumerHandlers): Promise<void> {
    assert(this.#handlers === null, "a consumer is started once");
    this.#handlers = handlers;
    const first = await this.#attemptJoin();
    if (first.failure !== null && first.failure.disposition !== "retry") {
      await this.#cluster.close();
      throw first.failure;
    }
    this.#running = this.#run(first.assignment);
  }

  /** Never rejects. */
  async #run(first: Assignment | null): Promise<void> {
    const handlers = this.#handlers as ConsumerHandlers;
    let assignment = first;
    try {
      while (!this.#isStopping) {
        assignment ??= await this.#joinUntilMember(handlers);
        if (assignment !== null) await this.#serveUntilRefused(assignment, handlers);
        assignment = null;
      }
    } catch (error) {
      await this.#leave();
      if (!this.#isStopping) handlers.onFatal(translate(error, this.#named("group")));
    }
  }

  /** Membership that is refused ends a generation as a rebalance does: the next join says whether it still is. */
  async #serveUntilRefused(assignment: Assignment, handlers: ConsumerHandlers): Promise<void> {
    try {
      await this.#serve(assignment, handlers);
    } catch (error) {
      const failure = translate(error, this.#named("group"));
      if (isDefect(failure)) throw failure;
      await this.#leave();
      if (!this.#isStopping) handlers.onRefused(null, failure);
    }
  }

  /** Null when stopped meanwhile. */
  async #joinUntilMember(handlers: ConsumerHandlers): Promise<Assignment | null> {
    let most: number = rejoinPauseMs.max;
    for (let waitMs: number = rejoinPauseMs.first; ; waitMs = Math.min(waitMs * 2, most)) {
      const { assignment, failure } = await this.#attemptJoin();
      if (this.#isStopping) return null;
      if (assignment !== null) return assignment;
      if (failure !== null && isDefect(failure)) throw failure;
      const isRefused = failure !== null && failure.disposition !== "retry";
      most = isRefused ? rejoinPauseMs.refused : rejoinPauseMs.max;
      if (isRefused) handlers.onRefused(null, failure);
      await this.#cluster.pause(waitMs);
    }
  }

  async #attemptJoin(): Promise<{ assignment: Assignment | null; failure: MillraceError | null }> {
    try {
      const assignment = await this.#membership.join();
      this.#failedJoins = 0;
      return { assignment, failure: null };
    } catch (error) {
      if (rejoinCodes.has(codeOf(error) ?? 0)) return { assignment: null, failure: null };
      this.#failedJoins++;
      const failure =
        missingTopic(error, this.#failedJoins) ?? translate(error, this.#named("join group"));
      this.#log.debug({ group: this.#options.group, code: failure.code }, failure.message);
      return { assignment: null, failure };
    }
  }

  /** From assignment to revocation. */
  async #serve(assignment: Assignment, handlers: ConsumerHandlers): Promise<void> {
    const { generation } = assignment;
    const session = new MemberSession({
      membership: this.#membership,
      generation,
      intervalMs: this.#options.heartbeatIntervalMs,
    });
    const fetching = new Fetching({
      cluster: this.#cluster,
      log: this.#log,
      handlers,
      generation,
      partitions: assignment.partitions,
      maxBytes: this.#options.maxBytes,
      bounds: this.#bounds,
      onFatal: (error) => session.fail(error),
    });
    this.#session = session;
    this.#fetching = fetching;
    try {
      await handlers.onAssigned(assignment);
      if (!session.isOver) fetching.start();
      await session.over;
    } catch (error) {
      // The hook could not do its work: what is only away for now is tried again with the next generation.
      const failure = translate(error, `take over in group ${this.#options.group}`);
      if (failure.disposition !== "retry") throw failure;
      this.#log.warn({ group: this.#options.group, code: failure.code }, failure.message);
      await this.#cluster.pause(rejoinPauseMs.max);
    } finally {
      fetching.end();
      this.#fetching = null;
      try {
        await handlers.onRevoked(generation, this.#isStopping ? "close" : "rebalance");
      } finally {
        await session.stopBeating();
        this.#session = null;
      }
    }
    if (session.failure !== null) throw session.failure;
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#fetching?.setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#fetching?.setPaused(partitions, false);
  }

  seek(partition: TopicPartition, nextOffset: bigint): void {
    this.#fetching?.seek(partition, nextOffset);
  }

  rejoin(): void {
    if (this.#session === null) return;
    this.#membership.askAnew();
    this.#session.end();
  }

  async commit(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    const { group } = generation;
    const what = `commit of group ${group}`;
    await this.#cluster.retry(what, commitDeadlineMs, async () => {
      try {
        const request = offsetCommitRequest(generation, progress);
        await this.#cluster.atCoordinator("group", group, async (broker) =>
          checked(await this.#cluster.send(broker, request)),
        );
      } catch (error) {
        // The next generation is being formed: ours is over.
        if (codeOf(error) === codes.rebalanceInProgress)
          throw new FencedError("MILL_KAFKA_FENCED", what, { cause: error });
        throw error;
      }
    });
  }

  #named(verb: string): Work {
    const { group } = this.#options;
    return { what: `${verb} ${group}`, group };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    const session = this.#session;
    if (session === null) await this.#handlers?.onRevoked(null, "close");
    session?.end();
    if (session !== null) await this.#running;
    const left = this.#leave(() => this.#membership.close(this.#leaveMs));
    await Promise.race([left, delay(this.#leaveMs, undefined, { ref: false })]);
    await this.#cluster.close();
    await this.#running;
  }

  get #leaveMs(): number {
    return Math.min(leaveMsMax, this.#options.sessionTimeoutMs);
  }

  async #leave(how = () => this.#membership.leave(this.#leaveMs)): Promise<void> {
    try {
      await how();
    } catch (error) {
      // The session will expire instead.
      const failure = translate(error, `leave group ${this.#options.group}`);
      this.#log.debug({ group: this.#options.group, code: failure.code }, failure.message);
    }
  }
}
