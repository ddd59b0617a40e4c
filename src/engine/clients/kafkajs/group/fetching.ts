// Fetches what one generation has been assigned: one request at a time to each leader, for every partition that is
// neither paused nor waiting. Nothing is delivered after `end`, and nothing that was asked for before a seek. An answer is
// delivered in pieces; while its partition is paused the rest of it waits here.
import type { ConsumerHandlers, GroupGeneration } from "../../../core/kafka.ts";
import { BatchError } from "../../../core/errors.ts";
import type { ClockReading, Log } from "../../../core/ports.ts";
import { addressOf, type TopicPartition } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, codes, isDefect, missingTopic, translate } from "../failures.ts";
import { fetchRequest, type FetchedPartition } from "../protocol/fetch.ts";
import type { BatchBounds } from "../protocol/records/batch-bounds.ts";
import { RecordSet, type RecordPiece } from "../protocol/records/record-set.ts";

export interface FetchingOptions {
  readonly cluster: Cluster;
  readonly log: Log;
  readonly handlers: ConsumerHandlers;
  readonly generation: GroupGeneration;
  readonly partitions: readonly TopicPartition[];
  readonly maxBytes: number;
  readonly bounds: BatchBounds;
  /** A failure that will not go away by itself. */
  readonly onFatal: (error: Error) => void;
}

interface FetchState {
  readonly at: TopicPartition;
  /** Null until a start or a seek says where. */
  nextOffset: bigint | null;
  isPaused: boolean;
  /** Being fetched, or waiting after a failure. */
  isBusy: boolean;
  /** Raised by every seek: an answer to an older question is dropped. */
  version: number;
  /** Fetched and not delivered yet. */
  rest: Rest | null;
  failures: number;
  isRefused: boolean;
}
interface Rest {
  readonly answer: FetchedPartition;
  readonly set: RecordSet;
  /** Whether the end of the partition was shown with it. */
  hasEnd: boolean;
}
interface Asked {
  readonly place: FetchState;
  readonly fetchOffset: bigint;
  readonly version: number;
  /** A moment before the fetch is sent; null where nobody asks for it. */
  readonly sent: ClockReading | null;
}

const partitionBytesMax = 1_048_576;
/** A fetch occupies its broker's turn while it waits: shorter while something paused may want the next one. */
const maxWaitMs = { idle: 250, paused: 25 } as const;
const pauseMs = { first: 20, max: 1_000, refused: 5_000 } as const;

export class Fetching {
  readonly #options: FetchingOptions;
  readonly #places = new Map<string, FetchState>();
  readonly #busyLeaders = new Set<number>();
  #hasStarted = false;
  #hasEnded = false;

  constructor(options: FetchingOptions) {
    this.#options = options;
    for (const at of options.partitions)
      this.#places.set(addressOf(at), {
        ...{ at, nextOffset: null, isPaused: true, isBusy: false, version: 0, rest: null },
        ...{ failures: 0, isRefused: false },
      });
  }

  start(): void {
    this.#hasStarted = true;
    this.#pump();
  }

  end(): void {
    this.#hasEnded = true;
    for (const place of this.#places.values()) drop(place);
  }

  setPaused(partitions: readonly TopicPartition[], isPaused: boolean): void {
    for (const at of partitions) {
      const place = this.#places.get(addressOf(at));
      if (place !== undefined) place.isPaused = isPaused;
    }
    if (!isPaused) this.#pump();
  }

  seek(at: TopicPartition, nextOffset: bigint): void {
    const place = this.#places.get(addressOf(at));
    if (place === undefined) return;
    place.nextOffset = nextOffset;
    place.version++;
    drop(place);
    this.#pump();
  }

  #pump(): void {
    if (!this.#hasStarted || this.#hasEnded) return;
    for (const place of this.#places.values()) if (isWaiting(place)) void this.#goOn(place);
    const { asked, leaderless } = this.#wanted();
    for (const [leader, questions] of asked) void this.#fetch(leader, questions);
    if (leaderless.length > 0) void this.#findLeaders(leaderless);
  }

  /** Questions for leaders that are not busy, and places without a leader. */
  #wanted(): {
    readonly asked: ReadonlyMap<number, readonly Asked[]>;
    readonly leaderless: readonly FetchState[];
  } {
    const asked = new Map<number, Asked[]>();
    const leaderless: FetchState[] = [];
    const sent = this.#options.handlers.quiet?.reading() ?? null;
    for (const place of this.#places.values()) {
      const question = questionOf(place, sent);
      if (question === null) continue;
      const leader = this.#options.cluster.leaderId(place.at);
      if (leader === null) leaderless.push(place);
      else if (!this.#busyLeaders.has(leader))
        asked.set(leader, [...(asked.get(leader) ?? []), question]);
    }
    return { asked, leaderless };
  }

  /** Never rejects: what goes wrong is waited out, or reported. */
  async #fetch(leader: number, asked: readonly Asked[]): Promise<void> {
    this.#busyLeaders.add(leader);
    for (const { place } of asked) place.isBusy = true;
    let failed: readonly FetchState[] = [];
    try {
      await this.#options.cluster.refreshIfOld();
      const answers = await this.#ask(leader, asked);
      failed = this.#take(asked, answers);
    } catch (error) {
      failed = asked.map(({ place }) => place);
      for (const place of failed) this.#report(error, `fetch from broker ${String(leader)}`, place);
    }
    this.#busyLeaders.delete(leader);
    for (const { place } of asked) if (!failed.includes(place)) place.isBusy = false;
    // In turn, so that one full partition does not always come first in the answer.
    const { place: first } = asked[0] as Asked;
    const address = addressOf(first.at);
    this.#places.delete(address);
    this.#places.set(address, first);
    if (failed.length > 0) void this.#waitOut(failed);
    this.#pump();
  }

  async #ask(leader: number, asked: readonly Asked[]): Promise<FetchedPartition[]> {
    const { cluster, maxBytes } = this.#options;
    const broker = await cluster.broker(leader);
    const hasPaused = [...this.#places.values()].some((place) => place.isPaused);
    const positions = asked.map(({ place, fetchOffset }) => ({
      ...place.at,
      fetchOffset,
      maxBytes: Math.min(maxBytes, partitionBytesMax),
    }));
    const waitMs = hasPaused ? maxWaitMs.paused : maxWaitMs.idle;
    return cluster.send(broker, fetchRequest(positions, maxBytes, waitMs));
  }

  /** Delivers what is still wanted; returns the places that failed. */
  #take(asked: readonly Asked[], answers: readonly FetchedPartition[]): FetchState[] {
    const byAddress = new Map(answers.map((answer) => [addressOf(answer), answer]));
    const failed: FetchState[] = [];
    for (const question of asked) {
      const { place } = question;
      const answer = byAddress.get(addressOf(place.at));
      if (this.#hasEnded || place.version !== question.version || answer === undefined) continue;
      if (answer.errorCode === codes.offsetOutOfRange) {
        // The partition is paused until someone seeks: going on elsewhere would skip or repeat in silence.
        place.nextOffset = null;
        this.#options.handlers.onOutOfRange(place.at);
        continue;
      }
      if (answer.errorCode !== 0)
        failed.push(this.#failed(new BrokerRefusal(answer.errorCode, place.at), place));
      else if (!this.#begin(question, answer)) failed.push(place);
      // Records of open transactions lie in front of the high watermark, and are waited for.
      else if (question.fetchOffset === answer.highWatermark) this.#sayQuiet(question);
    }
    return failed;
  }

  #sayQuiet({ place, fetchOffset, sent }: Asked): void {
    if (sent !== null) this.#options.handlers.quiet?.seen(place.at, fetchOffset, sent);
  }

  /** False when the partition must be asked for again, later. */
  #begin({ place, fetchOffset }: Asked, answer: FetchedPartition): boolean {
    const set = new RecordSet({ ...answer, fetchedOffset: fetchOffset }, this.#options.bounds);
    place.rest = { answer, set, hasEnd: false };
    if (!this.#deliver(place)) return false;
    if (place.isRefused) this.#options.handlers.onRefused(place.at, null);
    Object.assign(place, { failures: 0, isRefused: false });
    return true;
  }

  /** Never rejects. In a later turn: who resumes a partition does not expect records before it goes on. */
  async #goOn(place: FetchState): Promise<void> {
    place.isBusy = true;
    await Promise.resolve();
    if (!place.isPaused && !this.#deliver(place)) return this.#waitOut([place]);
    place.isBusy = false;
    this.#pump();
  }

  /** As much of what was fetched as is wanted now, one piece at least. False when it fails. */
  #deliver(place: FetchState): boolean {
    const { rest } = place;
    if (rest === null) return true;
    try {
      do this.#hand(place, rest, rest.set.next());
      while (place.rest === rest && !place.isPaused);
      return true;
    } catch (error) {
      place.rest = null;
      if (error instanceof BatchError) {
        place.nextOffset = null;
        this.#options.handlers.onUnreadable(place.at, error);
        return true;
      }
      this.#failed(error, place);
      return false;
    }
  }

  #hand(place: FetchState, rest: Rest, piece: RecordPiece | null): void {
    const { handlers, generation } = this.#options;
    const { topic, partition, highWatermark, lastStableOffset } = rest.answer;
    if (piece === null) place.rest = null;
    // Every fetch shows the end, also one without records.
    if (piece !== null || !rest.hasEnd)
      handlers.onEnd?.(place.at, lastStableOffset, piece?.marks ?? []);
    rest.hasEnd = true;
    if (piece === null || piece.nextOffset === piece.fetchedOffset) return;
    const { records, nextOffset, fetchedOffset, byteLength } = piece;
    place.nextOffset = nextOffset;
    handlers.onBatch({
      ...{ topic, partition, records, nextOffset, highWatermark, fetchedOffset, byteLength },
      generation,
    });
  }

  #failed(error: unknown, place: FetchState): FetchState {
    this.#report(error, `fetch of ${addressOf(place.at)}`, place);
    return place;
  }

  #report(error: unknown, what: string, place: FetchState): void {
    if (this.#hasEnded || this.#options.cluster.isClosed) return;
    const failure = missingTopic(error, place.failures) ?? translate(error, what);
    if (isDefect(failure)) return this.#options.onFatal(failure);
    if (failure.disposition === "retry")
      return this.#options.log.debug({ code: failure.code }, failure.message);
    place.isRefused = true;
    this.#options.handlers.onRefused(place.at, failure);
  }

  async #waitOut(places: readonly FetchState[]): Promise<void> {
    const failures = Math.max(...places.map((place) => ++place.failures));
    const { cluster } = this.#options;
    const most = places.some(({ isRefused }) => isRefused) ? pauseMs.refused : pauseMs.max;
    await cluster.pause(Math.min(most, pauseMs.first * 2 ** Math.min(failures, 10)));
    // The next fetch finds out whether this helped.
    await cluster.refresh().catch(() => undefined);
    for (const place of places) place.isBusy = false;
    this.#pump();
  }

  /** The answer for a topic says why it has no leader: a refused access is reported here. */
  async #findLeaders(places: readonly FetchState[]): Promise<void> {
    for (const place of places) {
      place.isBusy = true;
      const why = this.#options.cluster.leaderless(place.at);
      this.#report(why, `leader of ${addressOf(place.at)}`, place);
    }
    await this.#waitOut(places);
  }
}

/** Whether something of it was fetched and can be delivered now. */
const isWaiting = ({ rest, isPaused, isBusy }: FetchState): boolean =>
  rest !== null && !isPaused && !isBusy;

function drop(place: FetchState): void {
  place.rest?.set.close();
  place.rest = null;
}

/** Null when the partition is not to be fetched now. */
const questionOf = (place: FetchState, sent: Asked["sent"]): Asked | null => {
  const { nextOffset, isPaused, isBusy, version, rest } = place;
  return nextOffset === null || isPaused || isBusy || rest !== null
    ? null
    : { place, fetchOffset: nextOffset, version, sent };
};
