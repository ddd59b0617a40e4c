// Every row of the fault matrix that is asked of this command: faults that are mixed into one long flow, scenarios that
// stop something and cure it, and what cannot be done here, with the reason.
import type { Fault } from "./faults/fault.ts";
import { workerFaults } from "./faults/workers.ts";

export const faults: readonly Fault[] = [...workerFaults].sort((a, b) => a.row - b.row);
