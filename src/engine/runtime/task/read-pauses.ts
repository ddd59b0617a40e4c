// Reads that Kafka refuses a part: of a partition, or of its group. The consumer asks again by itself; here is who
// waits for it meanwhile, reported once in the log and in a metric, and for as long as it lasts in /ready.
import type { MillraceError } from "../../core/errors.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";
import { countPause } from "../../observe/task-metrics.ts";
import type { WorkerContext } from "../context.ts";
import type { BoundPart } from "./bind.ts";

const THE_GROUP = "";

export class ReadPauses {
  readonly #context: Pick<WorkerContext, "log" | "meter">;
  readonly #bound: BoundPart;
  /** By address. */
  readonly #whys = new Map<string, string>();

  constructor(context: Pick<WorkerContext, "log" | "meter">, bound: BoundPart) {
    this.#context = context;
    this.#bound = bound;
  }

  /** As the consumer says it: with each refusal, and with null when it is let again. */
  note(at: TopicPartition | null, error: MillraceError | null): void {
    const { log, meter } = this.#context;
    const { labels, part } = this.#bound;
    const address = at === null ? THE_GROUP : addressOf(at);
    const facts = { ...labels, ...(at ?? { group: part.group }) };
    const known = this.#whys.get(address);
    if (error === null) {
      if (this.#whys.delete(address)) log.info(facts, "reads are let again: the task goes on");
      return;
    }
    this.#whys.set(address, error.message);
    if (known === error.message) return;
    countPause(meter, labels, at === null ? "group" : "read", error.code);
    log.error({ ...facts, code: error.code, why: error.message }, "paused: reads are refused");
  }

  /** The reason why the partition waits, or null. */
  why(at: TopicPartition): string | null {
    return this.#whys.get(THE_GROUP) ?? this.#whys.get(addressOf(at)) ?? null;
  }

  /** Reasons that no task shows: no task exists without a group, and none for the redrive topic. */
  get unreported(): string[] {
    const { plan, part } = this.#bound;
    const redrive = `${plan.redrive}-`;
    return [...this.#whys]
      .filter(([address]) => address === THE_GROUP || address.startsWith(redrive))
      .map(([, why]) => `${plan.pipeline}.${part.name} waits for Kafka: ${why}`);
  }

  /** A new generation begins. */
  clear(): void {
    this.#whys.clear();
  }
}
