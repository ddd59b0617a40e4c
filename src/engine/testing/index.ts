// "#testing": unit tests of pipelines without any server, in virtual time.
export { double, type Double } from "./doubles/resource-double.ts";
export {
  simulate,
  type SimulatedLetter,
  type ReadRecord,
  type Simulated,
  type Stopped,
} from "./harness.ts";
export type { SimulateOptions } from "./options.ts";
export {
  advance,
  crash,
  pause,
  rebalance,
  redrive,
  send,
  sendBytes,
  type SendOptions,
  type SimulatedStep,
} from "./steps.ts";
