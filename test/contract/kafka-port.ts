// The suite that every Kafka port must pass: on the cluster in memory, and on a real broker.
// Cases use names of their own, wait with `eventually`, and know nothing of the implementation.
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { consumingCases } from "./kafka-port/consuming.ts";
import { groupCases } from "./kafka-port/groups.ts";
import { inspectionCases } from "./kafka-port/inspection.ts";
import { refusalCases } from "./kafka-port/refusals.ts";
import { transactionCases } from "./kafka-port/transactions.ts";
import { World, type KafkaUnderTest } from "./kafka-port/world.ts";

export type { KafkaUnderTest } from "./kafka-port/world.ts";

/** Behaviour, as a sentence, to its check. */
export type Cases = Readonly<Record<string, (world: World) => Promise<void>>>;

export function kafkaPortContract(name: string, make: () => Promise<KafkaUnderTest>): void {
  const suites: Readonly<Record<string, Cases>> = {
    consuming: consumingCases,
    transactions: transactionCases,
    refusals: refusalCases,
    groups: groupCases,
    inspection: inspectionCases,
  };
  describe(`Kafka port: ${name}`, () => {
    for (const [suite, cases] of Object.entries(suites))
      describe(suite, () => {
        for (const [sentence, check] of Object.entries(cases))
          test(sentence, { timeout: 60_000 }, () => inWorld(make, check));
      });
  });
}

async function inWorld(
  make: () => Promise<KafkaUnderTest>,
  check: (world: World) => Promise<void>,
): Promise<void> {
  const world = new World(await make());
  try {
    await check(world);
  } finally {
    // A consumer that hangs must not hide why the case failed.
    await Promise.race([world.close(), delay(10_000, undefined, { ref: false })]);
  }
}
