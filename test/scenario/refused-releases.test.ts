// A key that waited in state is released, and Kafka refuses what it writes: its record is one letter, the later ones of
// the key follow in order, and other keys are not disturbed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OutRecord } from "../../src/engine/core/record.ts";
import {
  answers,
  asks,
  callFlow,
  retry,
  Service,
  type Answer,
  type Ask,
} from "../support/call-flow.ts";
import { Fleet } from "../support/fleet.ts";

const COUNT = 8;
const FAILING = "c";
const KEYS = ["a", "b", FAILING];
const LETTERS = "flow-dead-letters";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const numberIn = ({ value }: Pick<OutRecord, "value">): number =>
  (JSON.parse(String(value)) as Ask | Answer).n;

for (const refused of [[1], [3], [1, 2, 6]])
  test(`released records ${refused.join()} whose answers are refused are a letter each, in their places`, async () => {
    const fleet = new Fleet([callFlow(retry("park-key", { attempts: 1_000 }), "memory")], {
      breaker: false,
    });
    let isDown = true;
    fleet.openResource = () => {
      const service = new Service(fleet.clock, (key, n) =>
        key === FAILING && n >= 1 && isDown ? "fails" : "answers",
      );
      return Promise.resolve({ client: service, close: () => Promise.resolve() });
    };
    fleet.kafka.refusing((record) =>
      record.topic === answers.name &&
      String(record.key) === FAILING &&
      refused.includes(numberIn(record))
        ? { code: "POLICY_VIOLATION", words: null }
        : null,
    );
    const { worker } = await fleet.join();
    await fleet.drained();
    for (const n of upTo(COUNT)) {
      await fleet.sendRecords(
        KEYS.map((key) => ({
          ...{ topic: asks.name, partition: 0, headers: [], timestamp: fleet.clock.now() },
          ...{ key: Buffer.from(key), value: Buffer.from(JSON.stringify({ n })) },
        })),
      );
      await fleet.clock.advance(500);
    }
    await fleet.clock.advance(10_000);
    assert.ok(worker.queuedRecords > 0, "the key waits");
    isDown = false;
    await fleet.until("nothing waits any more", () => worker.queuedRecords === 0, 600_000);
    await fleet.drained();
    const came = fleet.kafka.records(answers.name, { committed: true });
    for (const key of KEYS)
      assert.deepEqual(
        came.filter((record) => String(record.key) === key).map(numberIn),
        upTo(COUNT).filter((n) => key !== FAILING || !refused.includes(n)),
        key,
      );
    const letters = fleet.kafka.records(LETTERS, { committed: true });
    assert.deepEqual(letters.map(numberIn), refused);
    assert.ok(letters.every(({ key }) => String(key) === FAILING));
  });
