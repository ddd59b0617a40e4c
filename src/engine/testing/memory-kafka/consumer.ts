// A group consumer over the cluster in memory: join, hand over batches, revoke, join again. Its hooks are awaited as the
// port says. A thawed worker hears of rebalances only at its next heartbeat: until then it is a zombie.
import { assert, isRetriable, type MillraceError } from "../../core/errors.ts";
import type {
  Assignment,
  ConsumerHandlers,
  ConsumerOptions,
  GroupConsumer,
  GroupGeneration,
  Progress,
} from "../../core/kafka.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { JoinedGroup } from "./broker/groups.ts";
import type { Connection } from "./connection.ts";
import { MemberPositions } from "./positions.ts";

/** The longest that a broker waits with the answer to a fetch. */
const FETCH_MS = 250;

type ConsumerEnd = "rebalance" | "close";

/** idle → running → closed, by `stop` or by a hook that throws. */
export class MemoryConsumer implements GroupConsumer {
  readonly #options: ConsumerOptions;
  readonly #connection: Connection;
  readonly #positions: MemberPositions;
  readonly #unwatch: () => void;
  #state: "idle" | "running" | "closed" = "idle";
  #run: Promise<void> = Promise.resolve();
  #memberId: string | null = null;
  #isJoining = false;
  #hasJoined = false;
  #owned: readonly number[] = [];
  /** A thawed worker hears nothing of its group before. */
  #nextHeartbeatMs = 0;

  constructor(options: ConsumerOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    const limits = { bytesMax: options.maxBytes, recordsMax: connection.batchRecordsMax };
    this.#positions = new MemberPositions(connection, limits, connection.wire.conditions);
    this.#unwatch = connection.wire.worker.watch((state) => {
      if (state === "running") void this.#heartbeatLater(); // Never rejects: nothing cancels it.
    });
  }

  get isAway(): boolean {
    return !this.#conditions.isAvailable;
  }

  start(handlers: ConsumerHandlers): Promise<void> {
    assert(this.#state === "idle", "a consumer is started once");
    this.#state = "running";
    return new Promise((attempted, refused) => {
      this.#run = this.#runUntilClosed(handlers, attempted, refused);
    });
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#positions.setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#positions.setPaused(partitions, false);
    this.#conditions.changes.raise();
  }

  seek(partition: TopicPartition, nextOffset: bigint): void {
    this.#positions.seek(partition, nextOffset);
    this.#conditions.changes.raise();
  }

  commit(progress: readonly Progress[], generation: GroupGeneration): Promise<void> {
    const { wire, groups, offsets } = this.#connection;
    return wire.call("commitOffsets", () => {
      groups.admit(generation);
      offsets.commit(generation.group, progress);
    });
  }

  rejoin(): void {
    this.#connection.groups.rebalance(this.#options.group);
  }

  async stop(): Promise<void> {
    this.#state = "closed";
    if (this.#isJoining) this.#leave();
    this.#conditions.changes.raise();
    await this.#run;
  }

  get #conditions(): Connection["wire"]["conditions"] {
    return this.#connection.wire.conditions;
  }

  get #isRunning(): boolean {
    return this.#state === "running";
  }

  async #runUntilClosed(
    handlers: ConsumerHandlers,
    attempted: () => void,
    refused: (error: Error) => void,
  ): Promise<void> {
    try {
      let ended: ConsumerEnd | null = null;
      while (this.#isRunning) ended = await this.#runGeneration(handlers, attempted);
      if (ended !== "close") await handlers.onRevoked(null, "close");
    } catch (error) {
      this.#state = "closed";
      if (this.#hasJoined) handlers.onFatal(error as Error);
      else refused(error as Error);
    } finally {
      attempted();
      this.#unwatch();
      this.#leave();
    }
  }

  /** From one join to the next. Null: there was no generation, since the join was refused or given up. */
  async #runGeneration(
    handlers: ConsumerHandlers,
    attempted: () => void,
  ): Promise<ConsumerEnd | null> {
    const joined = await this.#join(handlers, attempted);
    this.#hasJoined = true;
    attempted();
    if (joined === null || !this.#isRunning) return null;
    const { generation, members } = joined;
    const partitions = this.#partitionsOf(joined.indexes);
    this.#owned = joined.indexes;
    this.#positions.reset(partitions);
    if (await this.#begins(() => handlers.onAssigned({ generation, partitions, members })))
      await this.#deliver(handlers, generation);
    this.#positions.reset([]);
    const ended: ConsumerEnd = this.#isRunning ? "rebalance" : "close";
    await handlers.onRevoked(generation, ended);
    await this.#connection.wire.worker.passed();
    return ended;
  }

  /** False when the hook could not do its work for now: it is tried again with the next generation. */
  async #begins(onAssigned: () => Promise<void>): Promise<boolean> {
    try {
      await onAssigned();
      return true;
    } catch (error) {
      if (!isRetriable(error)) throw error;
      await this.#conditions.clock.sleep(this.#options.heartbeatIntervalMs);
      return false;
    }
  }

  async #join(handlers: ConsumerHandlers, attempted: () => void): Promise<JoinedGroup | null> {
    const { wire, groups, format } = this.#connection;
    while (!this.#conditions.isAvailable && this.#isRunning) {
      attempted();
      await this.#conditions.changes.wait();
      // A worker that died meanwhile must not join.
      await wire.worker.passed();
    }
    await this.#untilLetIn(handlers);
    if (!this.#isRunning) return null;
    const request = { options: this.#options, owned: this.#owned, worker: wire.worker, format };
    const { memberId, joined } = groups.join(request, this.#memberId);
    this.#memberId = memberId;
    this.#isJoining = true;
    const answer = await joined;
    await wire.worker.passed();
    this.#isJoining = false;
    if (answer === null) this.#memberId = null;
    return answer;
  }

  #partitionsOf(indexes: readonly number[]): Assignment["partitions"] {
    const { topics } = this.#connection;
    const { topics: own, beside = [] } = this.#options;
    return [...own, ...beside].flatMap((topic) => {
      const count = topics.describe(topic)?.partitions ?? 0;
      return indexes.filter((index) => index < count).map((partition) => ({ topic, partition }));
    });
  }

  /** Hands batches over until the generation is known to be over. */
  async #deliver(handlers: ConsumerHandlers, generation: GroupGeneration): Promise<void> {
    const { wire } = this.#connection;
    for (;;) {
      await wire.worker.passed();
      if (!this.#isRunning || this.#hearsOfEnd(generation)) return;
      const batch = this.#conditions.isAvailable ? this.#positions.next(handlers) : null;
      if (batch === null) await this.#wait(handlers);
      else handlers.onBatch({ ...batch, generation });
    }
  }

  /** A fetch is answered after a while even if there is nothing, where somebody wants to know that. */
  async #wait({ quiet }: ConsumerHandlers): Promise<void> {
    const { changes, clock } = this.#conditions;
    if (quiet === undefined) return changes.wait();
    const isOver = new AbortController();
    const isAnswered = clock.sleep(FETCH_MS, isOver.signal).catch(() => undefined);
    await Promise.race([changes.wait(), isAnswered]);
    isOver.abort();
  }

  #hearsOfEnd(generation: GroupGeneration): boolean {
    const { isAvailable, clock } = this.#conditions;
    const hears = isAvailable && clock.monotonic() >= this.#nextHeartbeatMs;
    const { groups } = this.#connection;
    return hears && (this.#refusal !== null || groups.isOver(generation));
  }

  /** Why it may not be a member of its group, or null. */
  get #refusal(): MillraceError | null {
    const { group } = this.#options;
    const { access, groups, format } = this.#connection;
    const what = `join group ${group}`;
    return access.refusalOfGroup(group, what) ?? groups.refusalOfFormat(group, format, what);
  }

  /** Out of the group for as long as it is not let in. A first join that is refused ends it. */
  async #untilLetIn(handlers: ConsumerHandlers): Promise<void> {
    const { changes } = this.#conditions;
    if (this.#refusal !== null) this.#leave();
    for (let isReported = false; this.#isRunning; isReported = true) {
      const refusal = this.#refusal;
      if (refusal === null) return;
      if (!this.#hasJoined) throw refusal;
      if (!isReported) handlers.onRefused(null, refusal);
      await changes.wait();
      await this.#connection.wire.worker.passed();
    }
  }

  async #heartbeatLater(): Promise<void> {
    const { clock, changes } = this.#conditions;
    this.#nextHeartbeatMs = clock.monotonic() + this.#options.heartbeatIntervalMs;
    await clock.sleep(this.#options.heartbeatIntervalMs);
    changes.raise();
  }

  #leave(): void {
    if (this.#memberId === null) return;
    this.#connection.groups.leave(this.#options.group, this.#memberId);
    this.#memberId = null;
  }
}
