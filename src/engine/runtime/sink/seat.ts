// A partition of a sink part, from the moment it was given to us.
import type { TopicPartition } from "../../core/record.ts";
import type { Wait } from "../failure.ts";
import type { Stop } from "../resume/stop.ts";
import type { SinkTask } from "./task.ts";

/** A partition of ours, of source or redrive topic: its task or why there is none yet. */
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
