// run --until-end: a worker that reads the topics of others to the ends that they have when it starts, works off everything
// behind, and stops. Each worker stops when the partitions that it owns are done. Dead letters do not stop it; a halted
// pipeline or a stopped task does, since neither goes on by itself.
import type { Bounds } from "../core/bounds.ts";
import { NO_TIME } from "../core/event-time.ts";
import { detailOf, isRetriable, messageOf, MillraceError } from "../core/errors.ts";
import type { AdminPort, StartOffset } from "../core/kafka.ts";
import { late } from "../core/late-topics.ts";
import { PartFlow, type BoundedPlace } from "../core/part-flow.ts";
import { queuesKeys, type Part, type Plan } from "../core/plan.ts";
import { readingRedrive, readProgress, readRedriveProgress } from "../core/progress.ts";
import { watermarksOf } from "../core/read-range.ts";
import {
  addressOf,
  type GroupId,
  type TaskAt,
  type TopicName,
  type TopicPartition,
} from "../core/record.ts";
import type { TaskHealth } from "../observe/health.ts";
import { queuedKeysIn } from "./calls/left-behind.ts";
import type { WorkerPorts } from "./context.ts";

type EndPorts = Pick<WorkerPorts, "kafka" | "tableStore" | "clock" | "log">;

/** The worker, as its end depends on it. */
export interface EndingWorker {
  readonly ended: Promise<Error | null>;
  readonly isJoined: boolean;
  /** Pipelines that an operator must let go on. */
  readonly halts: readonly MillraceError[];
  health(): TaskHealth[];
  stop(): Promise<void>;
}

const LOOK_MS = 500;
const nothing: ReadonlySet<TopicName> = new Set();

export class UntilEnd implements Bounds {
  readonly #plans: readonly Plan[];
  readonly #ports: EndPorts;
  readonly #admin: AdminPort;
  readonly #listeners = new Set<() => void>();
  /** The ends of topics of others, and of the letters that come back, by address; null until they are known. */
  #ends: ReadonlyMap<string, bigint> | null = null;
  /** Why the worker stopped before the end; null: it did not. */
  failure: MillraceError | null = null;

  constructor(plans: readonly Plan[], ports: EndPorts) {
    this.#plans = plans;
    this.#ports = ports;
    this.#admin = ports.kafka.admin();
  }

  /** A reference topic may have grown since the start; it is read as far as its task needs it. */
  end(_group: GroupId, at: TopicPartition): bigint | null {
    const isBounded = this.#plans.some(({ parts, topics }) => {
      const isFirst = ({ name, loadFirst }: Part["sources"][0]): boolean =>
        name === at.topic && loadFirst === true;
      const isOthers = topics.input.some(({ name }) => name === at.topic);
      return isOthers && !parts.some(({ sources }) => sources.some(isFirst));
    });
    if (!isBounded) return null;
    return this.#ends === null ? 0n : (this.#ends.get(addressOf(at)) ?? null);
  }

  last(): null {
    return null;
  }

  /** The next worker reads on: windows that are open stay so. */
  timeAtEnd(): number {
    return NO_TIME;
  }

  beside(): ReadonlySet<TopicName> {
    return nothing;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks where the topics end, and stops the worker when all that it owns is done. Ends with the worker. */
  watchOver(worker: EndingWorker): void {
    const life = new AbortController();
    const over = (): void => life.abort(new Error("the worker has ended"));
    worker.ended.then(over, over);
    this.#follow(worker, life.signal)
      .catch((error: unknown) => {
        if (life.signal.aborted) return;
        this.failure =
          error instanceof MillraceError
            ? error
            : new MillraceError("MILL_ENGINE_INVARIANT", messageOf(error), { cause: error });
      })
      .then(() => worker.stop())
      .finally(() => this.#admin.close())
      // `ended` reports what goes wrong there.
      .catch(() => undefined);
  }

  async #follow(worker: EndingWorker, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports;
    for (;;) {
      try {
        await this.#pin();
        this.failure = stopOf(worker);
        if (this.failure !== null) return;
        if (await this.#isDone(worker)) break;
      } catch (error) {
        // A server that is away is waited for.
        if (!isRetriable(error)) throw error;
        log.debug({ error: messageOf(error) }, "the ends were not looked at");
      }
      await clock.sleep(LOOK_MS, signal);
    }
    const pipelines = this.#plans.map(({ pipeline }) => pipeline);
    log.info({ pipelines }, "read to the ends as they were at the start");
  }

  async #pin(): Promise<void> {
    if (this.#ends !== null) return;
    const names = this.#plans.flatMap(({ topics }) => topics.input.map(({ name }) => name));
    const inputs = await watermarksOf(this.#admin, names);
    const letters = await watermarksOf(
      late({ admin: this.#admin }).admin,
      this.#plans.map(({ redrive }) => redrive),
    );
    const places = [...inputs.values(), ...letters.values()];
    const ends: readonly StartOffset[] =
      places.length === 0 ? [] : await this.#admin.stableEnds(places);
    this.#ends = new Map(ends.map((end) => [addressOf(end), end.nextOffset]));
    for (const listener of this.#listeners) listener();
  }

  /** A worker that owns nothing may be given something until all is done. */
  async #isDone(worker: EndingWorker): Promise<boolean> {
    if (!worker.isJoined) return false;
    for (const plan of this.#plans) {
      const own = worker.health().filter(({ pipeline }) => pipeline === plan.pipeline);
      const isRead = async (): Promise<boolean> => {
        const flow = await this.#flowOf(plan);
        const all = own.flatMap((task) => [task, { ...task, topic: plan.redrive }]);
        return own.length === 0 ? flow.isDone : all.every((at) => this.#isRead(flow, at, plan));
      };
      if (!(await isRead())) return false;
      // None is queued any more at this look, and the next one sees that their outputs were read to the end.
      if ((await this.#hasQueued(plan)) || !(await isRead())) return false;
    }
    // What was given to it meanwhile was not looked at.
    return worker.isJoined;
  }

  /** The redrive topic may not have been there, and may be wider than the part. */
  #isRead(flow: PartFlow, at: TaskAt, { redrive, parts }: Plan): boolean {
    const isWithin = parts.some(
      ({ name, partitions }) => name === at.part && at.partition < partitions,
    );
    const isThere = isWithin && this.#ends?.has(addressOf(at)) === true;
    return (at.topic === redrive && !isThere) || flow.isRead(at);
  }

  /** Progress first, then the ends. */
  async #flowOf(plan: Plan): Promise<PartFlow> {
    const ports = { admin: this.#admin, tableStore: this.#ports.tableStore };
    const ends = this.#ends ?? new Map<string, bigint>();
    const hasLetters = [...ends.keys()].some((address) => address === `${plan.redrive}-0`);
    const parts = plan.parts.map((part) => (hasLetters ? withRedrive(plan, part) : part));
    const back = hasLetters ? await readRedriveProgress(plan, ports) : [];
    const progress = [...(await readProgress(plan, ports)), ...back];
    const places = parts.flatMap(({ name, sources, partitions }) =>
      sources.flatMap(({ name: topic }) => boundedPlaces({ part: name, topic }, partitions, ends)),
    );
    const bounded = new Set(places.map(({ topic }) => topic));
    const names = parts.flatMap(({ sources }) => sources.map(({ name }) => name));
    const marks = await watermarksOf(
      this.#admin,
      names.filter((name) => !bounded.has(name)),
    );
    return new PartFlow(parts, places, { progress, ends: marks });
  }

  async #hasQueued({ parts }: Plan): Promise<boolean> {
    const ports = { kafka: this.#ports.kafka, admin: this.#admin };
    const stores = parts
      .flatMap(({ nodes }) => nodes)
      .flatMap((node) => (queuesKeys(node) && node.operation.store) || []);
    for (const { changelog } of stores)
      if ((await queuedKeysIn(changelog.name, ports)) > 0) return true;
    return false;
  }
}

const withRedrive = (plan: Plan, part: Part): Part => ({
  ...part,
  sources: [...part.sources, ...readingRedrive(plan, part).sources],
});

const boundedPlaces = (
  { part, topic }: Pick<TaskAt, "part" | "topic">,
  partitions: number,
  ends: ReadonlyMap<string, bigint>,
): BoundedPlace[] =>
  Array.from({ length: partitions }, (_, partition) => partition).flatMap((partition) => {
    const to = ends.get(addressOf({ topic, partition }));
    return to === undefined ? [] : [{ part, topic, partition, from: 0n, to }];
  });

/** The reason why the worker does not come to its end by itself. */
function stopOf(worker: EndingWorker): MillraceError | null {
  const [halt] = worker.halts;
  if (halt !== undefined) return halt;
  for (const task of worker.health()) {
    if (task.state !== "stopped") continue;
    const { pipeline, part, topic, partition, code, message } = task;
    const own = detailOf({ code, message });
    const detail = `${pipeline}.${part} ${topic}-${String(partition)} has stopped: ${own}`;
    return new MillraceError(code, detail, { where: { pipeline, part, topic, partition } });
  }
  return null;
}
