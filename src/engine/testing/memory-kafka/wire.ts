// The connections between a worker and the cluster in memory: requests take a turn, may be refused, lost on the way
// there or back, or delayed by a frozen worker.
import { DependencyError } from "../../core/errors.ts";
import type { WorkerSwitch } from "../doubles/worker-switch.ts";
import type { Conditions, KafkaRequest } from "./broker/conditions.ts";

/** The connection of one worker. */
export class Wire {
  readonly worker: WorkerSwitch;
  readonly conditions: Conditions;

  constructor(conditions: Conditions, worker: WorkerSwitch) {
    this.conditions = conditions;
    this.worker = worker;
  }

  /** Makes one request and returns its reply. */
  async call<T>(request: KafkaRequest, work: () => T | Promise<T>): Promise<T> {
    await this.worker.passed();
    const verdict = await this.conditions.seen(this.worker, request);
    await this.worker.passed();
    if (!this.conditions.isAvailable) throw unavailable(request);
    const loss = verdict.lose ?? this.conditions.takeLoss(request);
    if (loss === "request") throw lost(request);
    try {
      const reply = await work();
      await verdict.taken?.();
      if (loss === "reply") throw lost(request);
      return reply;
    } finally {
      await this.worker.passed();
    }
  }
}

const unavailable = (request: KafkaRequest): DependencyError =>
  new DependencyError("MILL_KAFKA_UNAVAILABLE", `no broker answers to ${request}`);

/** Only for the end of a transaction does it matter that the outcome is unknown: all else dies with the transaction. */
const lost = (request: KafkaRequest): DependencyError =>
  request === "commit"
    ? new DependencyError("MILL_KAFKA_UNKNOWN_OUTCOME", "the connection was lost")
    : new DependencyError("MILL_KAFKA_UNAVAILABLE", `the connection was lost in ${request}`);
