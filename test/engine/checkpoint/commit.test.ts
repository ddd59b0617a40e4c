import assert from "node:assert/strict";
import { test } from "node:test";
import { commit, type StagedTask } from "../../../src/engine/checkpoint/commit.ts";
import type {
  GroupGeneration,
  Progress,
  SentBatch,
  TxProducer,
} from "../../../src/engine/core/kafka.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";

/** Writes down what it is asked, and fails at the step it is told to. */
class ScriptedProducer implements TxProducer {
  readonly state = "ready";
  readonly steps: string[] = [];
  readonly #failAt: string | null;
  constructor(failAt: string | null = null) {
    this.#failAt = failAt;
  }
  #step(name: string): Promise<void> {
    this.steps.push(name);
    return name.startsWith(this.#failAt ?? "-")
      ? Promise.reject(new Error(name))
      : Promise.resolve();
  }
  init = (): Promise<void> => this.#step("init");
  begin = (): void => void this.#step("begin");
  send = (records: readonly OutRecord[]): Promise<readonly SentBatch[]> =>
    this.#step(`send ${String(records.length)}`).then(() => []);
  sendOffsets = (
    progress: readonly Progress[],
    { group, generationId }: GroupGeneration,
  ): Promise<void> =>
    this.#step(
      `progress ${group}@${String(generationId)} ${progress.map((p) => p.partition).join()}`,
    );
  commit = (): Promise<void> => this.#step("commit");
  abort = (): Promise<void> => this.#step("abort");
  close = (): Promise<void> => this.#step("close");
}

const record: OutRecord = {
  topic: "t",
  partition: 0,
  key: null,
  value: null,
  headers: [],
  timestamp: 0,
};
const staged = (group: string, partition: number, outputs = 1): StagedTask => ({
  outputs: Array.from({ length: outputs }, () => record),
  changelog: [],
  letters: [record],
  progress: [{ topic: "t", partition, nextOffset: 1n, metadata: "" }],
  generation: { group, generationId: 3, memberId: "m" },
});

test("sends everything before progress, and commits last", async () => {
  const producer = new ScriptedProducer();
  await commit(producer, [staged("a", 0), staged("b", 1), staged("a", 2)]);
  assert.deepEqual(producer.steps, [
    "begin",
    "send 6",
    "progress a@3 0,2",
    "progress b@3 1",
    "commit",
  ]);
});

test("a task that wrote nothing still sends its progress, which carries the fence", async () => {
  const producer = new ScriptedProducer();
  await commit(producer, [{ ...staged("a", 0, 0), letters: [] }]);
  assert.ok(producer.steps.includes("progress a@3 0"));
});

for (const step of ["send", "progress b", "commit"])
  test(`nothing follows a failed ${step}`, async () => {
    const producer = new ScriptedProducer(step);
    await assert.rejects(commit(producer, [staged("a", 0), staged("b", 1)]));
    assert.ok(producer.steps.at(-1)?.startsWith(step), producer.steps.join());
  });
