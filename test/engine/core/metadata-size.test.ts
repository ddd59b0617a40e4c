// K1: the progress of every part that is built fits into a commit, whatever its times and its ledger come to.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { END_OF_TIME, NO_TIME } from "../../../src/engine/core/event-time.ts";
import { emptyLedger, type LedgerCounts } from "../../../src/engine/core/ledger.ts";
import {
  channelsMax,
  metadataBytesMax,
  OWNER_BEHIND_NAMESPACE,
} from "../../../src/engine/core/metadata-size.ts";
import type { Plan } from "../../../src/engine/core/plan.ts";
import {
  decodeMetadata,
  encodeMetadata,
  METADATA_BYTES_MAX,
} from "../../../src/engine/core/task-inputs.ts";
import { workerNameOf } from "../../../src/engine/runtime/host/settings.ts";

interface Sale {
  readonly shop: string;
}
const own = { key: string, owner: "tests" };
const out = topic("out", { ...own, value: json<number>(), partitions: 1 });

/** A part behind so many tasks, with so many filters in front of its windows. */
function planOf(namespace: string, partitions: number, filters = 0): Plan {
  const sales = topic("sales", { ...own, value: json<Sale>(), partitions });
  return pipeline("sold", ({ from }) => {
    let stream = from(sales).rekey("by-shop", ({ shop }) => shop, { partitions: 2 });
    for (let n = 0; n < filters; n++)
      stream = stream.filter(`a-filter-with-a-long-name-${String(n)}`, () => true);
    stream
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("sold", { emit: "close" })
      .toStream("row", (n) => n)
      .to(out);
  }).plan(namespace);
}

const reader = (plan: Plan) => plan.parts.find(({ name }) => name === "by-shop") ?? assert.fail();
const time = fc.oneof(
  fc.constantFrom(NO_TIME, END_OF_TIME, -8.64e15, 8.64e15, 0),
  fc.integer({ min: -8.64e15, max: 8.64e15 }),
);
/** A ledger of so many is never refused for its sum. */
const count = fc.oneof(fc.constant(0), fc.nat({ max: 1e13 }));
const counts = (names: readonly string[]) =>
  fc
    .tuple(...names.map(() => count))
    .map((found) => Object.fromEntries(names.map((name, i) => [name, found[i] ?? 0])));
const CLASSES = ["decode", "schema", "rule", "transform", "sink", "size", "result"];

test("K1: of random plans that are built, whatever their progress is, its metadata has at most 4,096 bytes and comes back", () => {
  const namespace = fc.stringMatching(/^([a-z0-9]{1,40}[-.])?$/);
  const drawn = namespace.chain((name) =>
    fc.record({
      namespace: fc.constant(name),
      partitions: fc.integer({ min: 1, max: channelsMax(name) }),
      filters: fc.nat({ max: 40 }),
    }),
  );
  fc.assert(
    fc.property(drawn, fc.gen(), ({ namespace, partitions, filters }, draw) => {
      const part = reader(planOf(namespace, partitions, filters));
      const [source] = part.sources;
      assert.equal(source?.channels, partitions);
      const names = part.nodes.map(({ name }) => name);
      const ledger: LedgerCounts = {
        ...emptyLedger(),
        ...draw(() => counts(["emitted", "superseded", "deduplicated", "null-key", "tombstone"])),
        ...draw(() => fc.record({ consumed: count, filtered: counts(names) })),
        "dead-lettered": draw(() => counts(CLASSES)),
        late: draw(() => counts(["own", "closed"])),
        "late-results": draw(() => counts(["own", "closed"])),
        "dead-results": draw(() => counts(names)),
        behind: draw(() => counts(names)),
      };
      const times = { minLength: partitions, maxLength: partitions };
      const channels = draw(() => fc.array(time, times));
      const left = draw(() => fc.constantFrom("due", "queued"));
      const owner = `${namespace}${"w".repeat(OWNER_BEHIND_NAMESPACE)}`;
      const text = encodeMetadata({ owner, ledger, time: { channels, left } });
      assert.ok(Buffer.byteLength(text) <= METADATA_BYTES_MAX, `${String(text.length)} bytes`);
      assert.equal(decodeMetadata(text)?.time?.channels?.length, partitions);
    }),
    { numRuns: 200, endOnFailure: true },
  );
});

test("K1: one writer more than have room is refused, with the bytes and what to do", () => {
  for (const namespace of ["", "staging-"]) {
    const most = channelsMax(namespace);
    assert.ok(metadataBytesMax(namespace, { channels: most }) <= METADATA_BYTES_MAX);
    assert.doesNotThrow(() => planOf(namespace, most));
    assert.throws(
      () => planOf(namespace, most + 1),
      (error) => {
        const [problem] = error instanceof ConfigErrors ? error.problems : [];
        assert.equal(problem?.code, "MILL_BUILD_PROGRESS");
        const tasks = `${String(most + 1)} tasks write it`;
        const cure = `a topic of at most ${String(most)} partitions`;
        assert.match(problem.message, new RegExp(`"by-shop": ${tasks}.*${cure}$`));
        return true;
      },
    );
  }
});

test("K1: the bound is reached: no number could be longer, and no owner", () => {
  const channels = channelsMax("");
  assert.ok(metadataBytesMax("", { channels }) > METADATA_BYTES_MAX - 11, "the next has 8 bytes");
  const docs = readFileSync(join(import.meta.dirname, "../../../docs/time.md"), "utf8");
  assert.ok(docs.includes(`has room for ${String(channels)} of them`), String(channels));
  const name = workerNameOf({ MILLRACE_NAMESPACE: "", MILLRACE_WORKER_PREFIX: "w".repeat(60) });
  assert.equal(`${name}-${"0".repeat(12)}`.length, OWNER_BEHIND_NAMESPACE);
});

test("without event time behind it, any number of tasks may write a topic", () => {
  const sales = topic("sales", { ...own, value: json<Sale>(), partitions: 2_000 });
  const copies = topic("copies", { ...own, value: json<Sale>(), partitions: 2 });
  pipeline("copied", ({ from }) => {
    from(sales)
      .rekey("by-shop", ({ shop }) => shop, { partitions: 2 })
      .to(copies);
  }).plan();
  assert.ok(metadataBytesMax("", { loadFirst: true }) < METADATA_BYTES_MAX / 4);
});
