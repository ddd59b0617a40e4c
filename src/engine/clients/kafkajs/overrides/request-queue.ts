// Correction to kafkajs' RequestQueue: it sets a timer after every response, with a negative delay when nothing is
// throttled (kafkajs issue 1751: a warning of Node 24, and a wasted wake-up for each response).
import type { DriverCorrection } from "./driver.ts";

interface RequestQueueFields {
  pending: readonly unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}
export interface RequestQueueClass {
  readonly prototype: RequestQueueFields;
}

const recheckMs = 10;

export function correctRequestQueue(queue: RequestQueueClass): DriverCorrection {
  const { prototype } = queue;
  function schedule(this: RequestQueueFields): void {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    const throttledMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      Math.max(throttledMs, recheckMs),
    );
  }
  prototype.scheduleCheckPendingRequests = schedule;
  return {
    name: "RequestQueue",
    isInPlace: () => prototype.scheduleCheckPendingRequests === schedule,
  };
}
