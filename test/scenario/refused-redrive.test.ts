// Letters that go back, and what Kafka refuses of them: on their way, and of what comes of them.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { headerText } from "../../src/engine/core/record.ts";
import { redriveOrderOf } from "../../src/engine/core/redrive.ts";
import {
  expectedOf,
  madeBy,
  output,
  range,
  redriveAll,
  refused,
  right,
  rule,
  stateCounts,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const POLICY = { code: "POLICY_VIOLATION", words: null };

test("a letter whose way back is refused is told with the reason, and the others go", async () => {
  const { fleet } = await refused();
  fleet.kafka.refusing(({ topic, value }) =>
    topic === "flow-redrive" && String(value).includes('"n":35') ? POLICY : null,
  );
  const { sent, refused: not } = await redriveAll(fleet);
  assert.equal(sent.length, 19);
  assert.deepEqual(
    not.map(({ why }) => why.replace(/-\d:/, ":")),
    ["flow-redrive: POLICY_VIOLATION"],
  );
  await fleet.drained();
  const all = range(100);
  assert.deepEqual(madeBy(fleet), expectedOf(all.filter((n) => n !== 35)));
  assert.deepEqual(stateCounts(fleet), { resolved: 19 });
});

test("a redriven record whose output is refused is the same letter once more", async () => {
  const { fleet } = await refused();
  let isStrict = true;
  fleet.kafka.refusing(({ topic, value }) =>
    isStrict && topic === output.name && String(value).includes('"n":35') ? POLICY : null,
  );
  await redriveAll(fleet);
  await fleet.drained();
  const letters = fleet.kafka.records("flow-dead-letters", { committed: true });
  assert.equal(letters.length, 21);
  const ids = new Set(letters.map(({ headers }) => headerText(headers, "dlq.id")));
  assert.equal(ids.size, 20);
  assert.equal(redriveOrderOf(letters.at(-1)?.headers ?? []), null);
  assert.deepEqual(stateCounts(fleet), { open: 1, resolved: 19 });
  assert.deepEqual(madeBy(fleet), expectedOf(range(100).filter((n) => n !== 35)));
  isStrict = false;
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
  assert.deepEqual(stateCounts(fleet), { resolved: 20 });
});
