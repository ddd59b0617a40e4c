// Every row of the fault matrix that is asked of this command: faults that are mixed into one long flow, scenarios that
// stop something and cure it, and what cannot be done here, with the reason.
import { brokerFaults } from "./faults/brokers.ts";
import type { Fault } from "./faults/fault.ts";
import { networkFaults } from "./faults/network.ts";
import { postgresFaults } from "./faults/postgres.ts";
import { recordFaults } from "./faults/records.ts";
import { redisFaults } from "./faults/redis.ts";
import { refusedOutputs } from "./faults/refusals.ts";
import { registryFaults } from "./faults/registry.ts";
import { workerFaults } from "./faults/workers.ts";
import { configurationScenarios } from "./scenarios/configuration.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { topicScenarios } from "./scenarios/topics.ts";

export const faults: readonly Fault[] = [
  ...workerFaults,
  ...brokerFaults,
  ...redisFaults,
  ...postgresFaults,
  ...registryFaults,
  ...recordFaults,
  refusedOutputs,
  ...networkFaults,
].sort((a, b) => a.row - b.row);

export const scenarios: readonly Scenario[] = [...configurationScenarios, ...topicScenarios].sort(
  (a, b) => a.row - b.row,
);

/** What a row would want beyond what is done. */
export interface Impossible {
  readonly row: number;
  readonly what: string;
  readonly why: string;
}
export const impossible: readonly Impossible[] = [
  {
    row: 5,
    what: "smaller batches after repeated death",
    why: "the engine has no crash-loop detection; a worker that dies is started again and goes on",
  },
  {
    row: 21,
    what: "serialization failures (40001)",
    why: "transactions are READ COMMITTED, in which Postgres raises none",
  },
  {
    row: 30,
    what: "pills of JSON topics, callbacks that never resolve",
    why: "the flow reads Avro and calls nothing; test/engine/decode/json.test.ts, test/scenario/calls.test.ts",
  },
  {
    row: 42,
    what: "random loss of packets, link down",
    why: "needs root and nft; a proxy does latency, slices, a trickle, resets, lost routes and lost answers",
  },
  {
    row: 47,
    what: "a policy of the broker that refuses records (44)",
    why: "needs a plug-in of the broker; test/scenario/refusals.test.ts",
  },
];

/** The list for people. */
export function listing(): string[] {
  const rowOf = (row: number, name: string, more: string): string =>
    `${String(row).padStart(3)}  ${name.padEnd(42)} ${more}`;
  return [
    "Faults of one flow:",
    ...faults.map(({ row, name, brokers, how }) =>
      rowOf(row, name, `${brokers === 3 ? "needs three brokers: " : ""}${how}`),
    ),
    "Scenarios, each with a flow of its own:",
    ...scenarios.map(({ row, name, how }) => rowOf(row, name, how)),
    "Not done here, and why:",
    ...impossible.map(({ row, what, why }) => rowOf(row, what, why)),
  ];
}
