// One partition of a sink part, from the moment it was given to us.
import type { TopicPartition } from "../../core/record.ts";
import type { Wait } from "../failure.ts";
import type { Stop } from "../resume/stop.ts";
import type { SinkTask } from "./task.ts";

/** One partition of ours, of the source or of the redrive topic: its task once it was taken over, or why there is none. */
export interface Seat {
  readonly at: TopicPartition;
  readonly life: AbortController;
  task: SinkTask | null;
  waitingFor: string | null;
  stopped: Stop | null;
}

export const waitOf = (seat: Seat, dependency: string): Required<Wait> => ({
  dependency,
  signal: seat.life.signal,
  onWaiting: (why) => void (seat.waitingFor = why),
});
